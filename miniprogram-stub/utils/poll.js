/** Asking again and again with growing pauses, until the answer is final or patience ends. */
const PAUSES_MS = [800, 1500, 2000, 2000, 3000, 3000, 5000, 5000, 5000, 8000, 8000, 10000];

/**
 * Call ask() until isFinal(answer); every answer goes to onAnswer. A failed question is asked
 * again. Ends with onTired() after the last pause.
 * @param {{ask: () => Promise<any>, isFinal: (answer: any) => boolean,
 *   onAnswer: (answer: any) => void, onTired: () => void, pauses?: number[]}} wish
 * @returns {() => void} stop
 */
function poll({ ask, isFinal, onAnswer, onTired, pauses = PAUSES_MS }) {
  let timer = null;
  let stopped = false;

  async function turn(n) {
    const answer = await ask().catch(() => null);
    if (stopped) return;
    if (answer) onAnswer(answer);
    if (answer && isFinal(answer)) return;
    if (n >= pauses.length) onTired();
    else timer = setTimeout(() => turn(n + 1), pauses[n]);
  }

  turn(0);
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

module.exports = { PAUSES_MS, poll };
