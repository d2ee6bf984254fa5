// Invented households for looking at the page without a backend. No real person, no real phone.
const DAY = '2026-11-22'
export const AS_OF = '2026-11-22T02:10:00Z'

const CODES = ['3-1-1201', '3-1-0902', '3-2-0301', '5-1-1703', '5-2-0602', '1-1-0101', '1-2-2104', '2-1-1502']
const NAMES = ['王*明', '李*', '张*华', '陈*芳', '赵*', '阳光置业有限公司', '周*军', '吴*']

const yuan = (fen) => `${Math.floor(fen / 100)}.${String(fen % 100).padStart(2, '0')}`

function bill(n, month, overdue) {
  const due = 14293 + n * 1150
  const late = overdue > 15 ? Math.floor((due * (overdue - 15)) / 2900) : 0
  return {
    id: `${n}${month}`, house_id: String(n), house_label: `阳光花园 ${CODES[n % 8]}`, fee_name: '物业服务费',
    period_from: `2026-${month}-01`, period_to: `2026-${String(Number(month) + 1).padStart(2, '0')}-01`, period_text: `2026年${Number(month)}月`,
    due_date: `2026-${month}-15`, overdue_days: overdue, due_fen: due, paid_fen: 0, waived_fen: 0,
    credited_fen: 0, open_fen: due, late_fee_fen: late, late_fee_text: yuan(late), payable_fen: due + late,
    payable_text: yuan(due + late), state: 'open', state_text: '待缴',
    late_fee_explained: late
      ? [{ from: `2026-${month}-30`, to: DAY, days: overdue - 15, base_fen: due, rate_text: '年 12.4%（4×LPR）', exact_text: yuan(late) }]
      : [],
    lines: [{
      formula: `建筑面积 89.33㎡ × 1.60 元/㎡·月 × 1 个月`, fen: due, text: yuan(due),
      standard_name: '高层住宅物业费 2026 版', basis: '物业服务合同第八条；2025-12-20 公示',
    }],
  }
}

function household(n) {
  const bills = [bill(n, '09', 68 - n * 3), bill(n, '10', 38 - n), bill(n, '11', 7)].slice(0, 1 + (n % 3))
  return {
    house: {
      id: String(n), code: n < 8 ? CODES[n] : `${(n % 9) + 1}-1-${String(100 + n).padStart(4, '0')}`, community_name: '阳光花园', building: '3栋',
      area_text: '89.33㎡', use_text: '住宅', occupancy_text: '自住',
    },
    parties: [
      {
        party_id: `p${n}`, name: NAMES[n % 8], role_text: '业主', liable: true,
        phones: [
          { id: `t${n}`, masked: '139****0001', source_text: '业主提供', state: 'valid' },
          { id: `u${n}`, masked: '139****0002', source_text: '合同', state: 'invalid' },
        ],
      },
      ...(n % 4 === 0 ? [{ party_id: `q${n}`, name: '孙*', role_text: '租户', liable: false, phones: [] }] : []),
    ],
    bills: [...bills, { ...bill(n, '08', 99), open_fen: 0, paid_fen: 14293, payable_fen: 0, late_fee_fen: 0, late_fee_explained: [], state: 'paid', state_text: '已结清' }],
    credit_fen: n % 2 ? 500 : 0,
    contacts: n % 2
      ? []
      : [{
          id: `c${n}`, at: '2026-11-12T02:31:00Z', kind_text: '电话', result_text: '再考虑', reason_text: '对服务不满',
          note: '反映电梯经常停运，已转工程部。', steward_name: '林管家', second_name: null,
        }],
    promises: [],
    messages: [{
      id: `m${n}`, at: '2026-11-16T01:05:00Z', channel_text: '服务号模板消息', event_text: '缴费提醒',
      state_text: '已送达', text: '阳光花园 3-1-1201：2026年10月物业服务费 142.93 元，到期日 10月15日。点此缴费或提出异议。',
    }],
    holds: n % 5 === 3 ? [{ id: `h${n}`, kind: 'dispute', kind_text: '异议处理', until_day: null, reason: '面积有异议', liftable: true }] : [],
    payments: [{
      out_trade_no: `JQ2026082600${String(n).padStart(4, '0')}`, channel_text: '微信支付', state: 'succeeded',
      state_text: '已支付', amount_fen: 14293, amount_text: '142.93', at: '2026-08-26T08:14:00Z', house_id: String(n), house_code: CODES[n % 8],
    }],
    contact_allowed: {
      call: n % 3 === 2
        ? { allowed: false, code: 'E-C16', reason_zh: '已达联系上限（7天2次）', next_at: '2026-11-24T01:00:00Z' }
        : { allowed: true, code: null, reason_zh: null, next_at: null },
      visit: n % 3 === 1
        ? { allowed: false, code: 'E-C16', reason_zh: '距上次上门不足14天', next_at: '2026-11-28T01:30:00Z' }
        : { allowed: true, code: null, reason_zh: null, next_at: null },
    },
    brief: {
      headline: `${NAMES[n % 8]}，${bills.length} 笔未缴，最早 ${bills[0].period_text}`,
      points: ['业主关心：电梯停运，10月已完成维修（工单可出示）', '可提供：微信一键缴费，积分 142 分', '理想结果：约定本周内缴清，或分两次缴'],
    },
    as_of: AS_OF,
  }
}

export function totalsOf(one) {
  const sum = (name) => one.bills.reduce((total, b) => total + b[name], 0)
  const payable = sum('payable_fen')
  return { open_fen: sum('open_fen'), late_fee_fen: sum('late_fee_fen'), payable_fen: payable, payable_text: yuan(payable) }
}

export const households = new Map(Array.from({ length: 34 }, (_, n) => [String(n), household(n)]))

/** What the sandbox's owner would do: pays everything, so that the page can be seen changing. */
export function payAll(one) {
  for (const b of one.bills) Object.assign(b, { paid_fen: b.due_fen, open_fen: 0, late_fee_fen: 0, payable_fen: 0, late_fee_explained: [], state: 'paid', state_text: '已结清' })
}

export function workItem(one, kind = 'call') {
  const totals = totalsOf(one)
  const open = one.bills.filter((b) => b.open_fen > 0)
  const last = one.contacts[0]
  return {
    task_id: `k${one.house.id}`, kind,
    kind_text: { call: '电话', visit: '上门', promise_broken: '承诺失约' }[kind],
    stage: 'S25', stage_text: kind === 'visit' ? '重点跟进' : '友好沟通', due_day: Number(one.house.id) % 4 ? DAY : '2026-11-20',
    house_id: one.house.id, house_code: one.house.code, community_name: one.house.community_name,
    party_id: one.parties[0].party_id, party_name: one.parties[0].name, open_fen: totals.open_fen, open_text: yuan(totals.open_fen),
    overdue_days: Math.max(0, ...open.map((b) => b.overdue_days)), bill_count: open.length,
    last_contact: last ? { at: last.at, kind_text: last.kind_text, result_text: last.result_text } : null,
    contact_allowed: one.contact_allowed[kind === 'visit' ? 'visit' : 'call'],
  }
}
