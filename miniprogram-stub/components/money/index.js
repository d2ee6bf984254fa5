const { yuan } = require('../../utils/money');

/** An amount of `fen`, read aloud as "142.93元". */
Component({
  properties: { fen: { type: Number, value: 0 } },
  data: { text: '0.00' },
  observers: {
    fen(fen) {
      this.setData({ text: yuan(fen) });
    },
  },
});
