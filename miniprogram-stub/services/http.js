/** One HTTP call through wx.request: the only place of the mini-program that uses it. */
const TIMEOUT_MS = 15000;

// After these codes a repeat of the same call, under the same key, may still do the work.
const UNSETTLED = [
  'network',
  'platform_unknown',
  'request_in_progress',
  'busy',
  'internal_error',
  'too_many_requests',
];

/** What went wrong, in words for the owner: the server's error shape or our own "network". */
class ServiceError extends Error {
  /**
   * @param {{code: string, message?: string, message_zh: string, what_to_do?: string,
   *   legal_basis?: string, fields?: Object<string, string>}} body
   * @param {number} http status, 0 = no answer
   */
  constructor(body, http) {
    super(body.message || body.code);
    this.name = 'ServiceError';
    this.code = body.code;
    this.http = http;
    this.messageZh = body.message_zh;
    this.whatToDo = body.what_to_do || '';
    this.legalBasis = body.legal_basis || '';
    this.fields = body.fields || {};
  }

  /** True when the server decided; false when the call may or may not have done its work. */
  get settled() {
    return !UNSETTLED.includes(this.code);
  }
}

function fromAnswer(answer) {
  const body = answer.data;
  if (body && body.code && body.message_zh) return new ServiceError(body, answer.statusCode);
  return new ServiceError(
    {
      code: 'internal_error',
      message_zh: '服务暂时没有正常应答。',
      what_to_do: '请稍后重试。',
    },
    answer.statusCode,
  );
}

function noAnswer(reason) {
  return new ServiceError(
    {
      code: 'network',
      message: reason,
      message_zh: '网络不通，没有收到应答。',
      what_to_do: '请检查网络后重试，不会重复扣款。',
    },
    0,
  );
}

/** Return "?a=1&b=2" of the values that are set, "" of none. */
function query(values) {
  const parts = Object.keys(values || {})
    .filter((name) => values[name] !== undefined && values[name] !== null && values[name] !== '')
    .map((name) => `${name}=${encodeURIComponent(values[name])}`);
  return parts.length ? `?${parts.join('&')}` : '';
}

/**
 * Call `url` and return the JSON of a 2xx answer; any other answer throws ServiceError.
 * @param {{url: string, method?: 'GET' | 'POST', query?: Object, body?: Object,
 *   headers?: Object<string, string>}} call
 * @returns {Promise<any>}
 */
function send(call) {
  return new Promise((resolve, reject) => {
    wx.request({
      url: call.url + query(call.query),
      method: call.method || 'GET',
      data: call.body,
      header: { 'content-type': 'application/json', ...call.headers },
      timeout: TIMEOUT_MS,
      dataType: 'json',
      success: (answer) => {
        const good = answer.statusCode >= 200 && answer.statusCode < 300;
        if (good) resolve(answer.data);
        else reject(fromAnswer(answer));
      },
      fail: (reason) => reject(noAnswer(reason && reason.errMsg)),
    });
  });
}

module.exports = { ServiceError, send };
