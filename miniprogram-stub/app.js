const session = require('./services/session');

App({
  /** Log in early, so that the first page need not wait; a failure shows on that page. */
  onLaunch() {
    session.ensure().catch(() => {});
  },
});
