// The Element Plus components the desk uses, each with its own style sheet. Desk routes only.
import 'element-plus/theme-chalk/base.css'
import 'element-plus/theme-chalk/el-button.css'
import 'element-plus/theme-chalk/el-config-provider.css'
import 'element-plus/theme-chalk/el-date-picker.css'
import 'element-plus/theme-chalk/el-dialog.css'
import 'element-plus/theme-chalk/el-empty.css'
import 'element-plus/theme-chalk/el-form-item.css'
import 'element-plus/theme-chalk/el-form.css'
import 'element-plus/theme-chalk/el-input.css'
import 'element-plus/theme-chalk/el-option.css'
import 'element-plus/theme-chalk/el-overlay.css'
import 'element-plus/theme-chalk/el-popper.css'
import 'element-plus/theme-chalk/el-progress.css'
import 'element-plus/theme-chalk/el-scrollbar.css'
import 'element-plus/theme-chalk/el-select.css'
import 'element-plus/theme-chalk/el-skeleton.css'
import 'element-plus/theme-chalk/el-tab-pane.css'
import 'element-plus/theme-chalk/el-table-column.css'
import 'element-plus/theme-chalk/el-table.css'
import 'element-plus/theme-chalk/el-tabs.css'
import 'element-plus/theme-chalk/el-tag.css'

import { ElTableColumn as Column } from 'element-plus/es/components/table/index.mjs'

export { ElButton } from 'element-plus/es/components/button/index.mjs'
export { ElConfigProvider } from 'element-plus/es/components/config-provider/index.mjs'
export { ElDatePicker } from 'element-plus/es/components/date-picker/index.mjs'
export { ElDialog } from 'element-plus/es/components/dialog/index.mjs'
export { ElEmpty } from 'element-plus/es/components/empty/index.mjs'
export { ElForm, ElFormItem } from 'element-plus/es/components/form/index.mjs'
export { ElInput } from 'element-plus/es/components/input/index.mjs'
export { ElProgress } from 'element-plus/es/components/progress/index.mjs'
export { ElOption, ElSelect } from 'element-plus/es/components/select/index.mjs'
export { ElSkeleton } from 'element-plus/es/components/skeleton/index.mjs'
export { ElTable } from 'element-plus/es/components/table/index.mjs'
export { ElTabPane, ElTabs } from 'element-plus/es/components/tabs/index.mjs'
export { ElTag } from 'element-plus/es/components/tag/index.mjs'

/** The library leaves the row of a cell untyped; here the page that binds the rows names it. */
interface ColumnProps {
  type?: 'expand'
  label?: string
  prop?: string
  width?: string | number
  minWidth?: string | number
  align?: 'left' | 'center' | 'right'
  className?: string
}
type TypedColumn = new () => {
  $props: ColumnProps
  $slots: { default?: (scope: { row: any; $index: number }) => unknown }
}
export const ElTableColumn = Column as unknown as TypedColumn
