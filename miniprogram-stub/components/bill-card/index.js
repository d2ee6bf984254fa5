/** One bill with the formula of every line; `bill` comes from utils/bills.view. */
Component({
  properties: {
    bill: { type: Object, value: {} },
    selectable: { type: Boolean, value: false },
    checked: { type: Boolean, value: false },
  },
  methods: {
    onToggle() {
      if (this.data.selectable) this.triggerEvent('toggle', { id: this.data.bill.id });
    },
    onOpen() {
      this.triggerEvent('open', { id: this.data.bill.id });
    },
  },
});
