const checkout = require('../../services/checkout');
const owner = require('../../services/owner');
const platform = require('../../services/platform');
const display = require('../../utils/display');
const { act, load, replace, toast } = require('../../utils/page');
const { poll } = require('../../utils/poll');
const qr = require('../../utils/qr');

const SIDE_PX = 600;

/** Return an SVG as something an image can show. */
function svgSource(svg) {
  return svg ? `data:image/svg+xml,${encodeURIComponent(svg)}` : '';
}

function ids(text) {
  return (text || '').split(',').filter(Boolean);
}

/**
 * Alipay cannot be opened inside WeChat. Two ways round: a QR code of this order (saved and read
 * by Alipay, or read from another screen), and the owner's own quick-pay link for the phone's
 * browser, which knows whose bills to show.
 */
Page({
  data: {
    busy: false,
    problem: null,
    loading: false,
    failed: false,
    loaded: false,
    large: false,
    fen: 0,
    houses: [], // those of the bills, each with its own link and code
    payment: null,
    drawn: false,
    svg: '',
  },

  onLoad(query) {
    this.billIds = ids(query.bills);
    this.houseIds = ids(query.houses);
    this.setData({ fen: Number(query.fen) || 0, large: display.isLarge() });
    return this.reload();
  },

  reload() {
    return load(this, async () => {
      const { houses } = await owner.getMe();
      const chosen = houses.filter((house) => this.houseIds.includes(house.house_id));
      this.setData({ houses: chosen.length ? chosen : houses, loaded: true });
    });
  },

  onRetry() {
    return this.reload();
  },

  onShow() {
    if (this.data.payment) this.watch();
  },

  onHide() {
    this.stopWatching();
  },

  onUnload() {
    this.stopWatching();
  },

  stopWatching() {
    if (this.stop) this.stop();
    this.stop = null;
  },

  onQr() {
    return act(this, async () => {
      const { payment, params } = await checkout.startAlipayQr(this.billIds);
      const shown = { payment, fen: payment.amount_fen, svg: svgSource(params.qr_svg) };
      this.setData(shown, () => this.drawQr(params.qr_code));
      this.watch();
    });
  },

  drawQr(text) {
    wx.createSelectorQuery()
      .in(this)
      .select('.qr-canvas')
      .fields({ node: true })
      .exec(([found]) => {
        if (!found || !found.node) return;
        const canvas = found.node;
        canvas.width = SIDE_PX;
        canvas.height = SIDE_PX;
        qr.draw(canvas.getContext('2d'), qr.encode(text), SIDE_PX);
        this.canvas = canvas;
        this.setData({ drawn: true });
      });
  },

  watch() {
    this.stopWatching();
    this.stop = poll({
      ask: () => owner.getPayment(this.data.payment.out_trade_no),
      isFinal: checkout.isFinal,
      onAnswer: (payment) => checkout.isFinal(payment) && this.finish(payment.out_trade_no),
      onTired: () => {},
    });
  },

  finish(no) {
    replace('payments', { no });
  },

  onSave() {
    return act(this, async () => {
      try {
        const options = { canvas: this.canvas, fileType: 'png' };
        const { tempFilePath } = await platform.ask('canvasToTempFilePath', options);
        await platform.ask('saveImageToPhotosAlbum', { filePath: tempFilePath });
        toast('已存入相册，请打开支付宝扫一扫选这张图');
      } catch {
        toast('没有存成，可以截屏后用支付宝扫一扫');
      }
    });
  },

  onCopy(event) {
    return act(this, async () => {
      await platform.copy(event.currentTarget.dataset.url);
      toast('已复制，请粘贴到手机浏览器打开');
    });
  },

  onCheck() {
    this.finish(this.data.payment.out_trade_no);
  },
});
