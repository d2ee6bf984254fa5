/** Large type: one choice for all pages, kept on the phone. */
const KEY = 'large_type';

/** True when the owner chose extra-large type. */
function isLarge() {
  return wx.getStorageSync(KEY) === true;
}

/** Keep the choice. */
function setLarge(large) {
  wx.setStorageSync(KEY, Boolean(large));
}

module.exports = { isLarge, setLarge };
