/**
 * What a page has to say before its content: a line while it loads; a problem in words, staying
 * until the next action; and after a load that failed a button that sends `retry`.
 * `problem` is {title, advice} or null.
 */
Component({
  properties: {
    problem: { type: Object, value: null },
    loading: { type: Boolean, value: false },
    failed: { type: Boolean, value: false },
  },
  methods: {
    onRetry() {
      this.triggerEvent('retry');
    },
  },
});
