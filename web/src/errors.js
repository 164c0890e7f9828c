// Every error that the package raises on purpose: a code, as the server has them, and a sentence that names the thing and what to do.
// An abort is the reason of the signal, as everywhere on the web.

export class LcnetError extends Error {
  constructor(code, message, cause) {
    super(message, { cause });
    this.name = 'LcnetError';
    this.code = code;
  }
}

export function fail(code, message, cause) {
  throw new LcnetError(code, message, cause);
}

export const argument = (message) => fail('argument', message);
export const damaged = (message, cause) => fail('damaged', `the model file: ${message}`, cause);
export const tooLarge = (message) => fail('too_large', `${message}: make it smaller`);

// A value that came from outside, short and printable.
export const shown = (value) => String(JSON.stringify(value)).replace(/[^ -~\u00a1-\u1fff\u3000-\ud7ff]/g, '?').slice(0, 80);
