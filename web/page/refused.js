// Why a picture, or a model, has no answer.

/** A refusal: a code in the server's words, or of our own: `unreachable`, `cut`, `cancelled`. */
export class Refused extends Error {
  constructor(code, { status = 0, said = "", request = "", after = null } = {}) {
    super(said || code);
    Object.assign(this, { code, status, said, request, after });
  }
}
