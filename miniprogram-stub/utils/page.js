/** What every page does alike: one action at a time, errors in words, moving on. */
const TOAST_MS = 3000;

/** Return {title, advice} of an error, in Chinese. */
function wordsOf(error) {
  const fields = Object.values(error.fields || {}).filter((text) => typeof text === 'string');
  const advice = [fields.join('；'), error.whatToDo, error.legalBasis && `依据：${error.legalBasis}`];
  return {
    title: error.messageZh || '操作没有成功，请稍后重试。',
    advice: advice.filter(Boolean).join(' '),
  };
}

/** Show an error: a toast, and on the page until the next action (a toast is gone too soon). */
function showError(page, error) {
  const problem = wordsOf(error);
  page.setData({ problem });
  wx.showToast({ title: problem.title, icon: 'none', duration: TOAST_MS });
}

/**
 * Run work() unless this page is busy; `busy` and `problem` of the page follow it.
 * work starts before this returns, so a tap's rights (consent question) are kept.
 * @returns {Promise<any>} what work returned, undefined when refused or failed
 */
async function act(page, work) {
  if (page.data.busy) return undefined;
  page.setData({ busy: true, problem: null });
  try {
    return await work();
  } catch (error) {
    showError(page, error);
    return undefined;
  } finally {
    page.setData({ busy: false });
  }
}

/**
 * Run the work that fills this page, as act() does; `loading` follows it, and `failed` stays until
 * it is tried again, so that the notice can offer to.
 * @returns {Promise<any>} as of act
 */
async function load(page, work) {
  if (page.data.busy) return undefined;
  page.setData({ loading: true, failed: false });
  return act(page, async () => {
    try {
      return await work();
    } catch (error) {
      page.setData({ failed: true });
      throw error;
    } finally {
      page.setData({ loading: false });
    }
  });
}

/** Show a short success. */
function toast(title) {
  wx.showToast({ title, icon: 'none', duration: TOAST_MS });
}

/** Ask yes or no; true for yes. */
function confirm({ title, content, confirmText = '确定', cancelText = '取消' }) {
  return new Promise((resolve) => {
    wx.showModal({
      title,
      content,
      confirmText,
      cancelText,
      success: (answer) => resolve(answer.confirm),
      fail: () => resolve(false),
    });
  });
}

/** Go to a tab page by name ("bills"). */
function openTab(name) {
  wx.switchTab({ url: `/pages/${name}/index` });
}

/** Open a page on top of this one. */
function open(name, query = {}) {
  wx.navigateTo({ url: address(name, query) });
}

/** Open a page instead of this one. */
function replace(name, query = {}) {
  wx.redirectTo({ url: address(name, query) });
}

function address(name, query) {
  const pairs = Object.keys(query).map((key) => `${key}=${encodeURIComponent(query[key])}`);
  return `/pages/${name}/index${pairs.length ? `?${pairs.join('&')}` : ''}`;
}

module.exports = { act, confirm, load, open, openTab, replace, showError, toast, wordsOf };
