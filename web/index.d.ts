/** A model file: its address, in Node also a path, or its bytes. */
export type Source = string | URL | Blob | ArrayBuffer | Uint8Array;

/** Pixels by rows, 3 or 4 bytes each (RGB or RGBA); of networks of another number of channels as many as these. */
export interface Pixels {
  data: Uint8Array | Uint8ClampedArray;
  width: number;
  height: number;
}
/** What is encoded is decoded by the browser. `Pixels` and `ImageData` are exact: they become the input that Python makes of them. */
export type Picture = Blob | ImageBitmap | ImageData | Pixels;

/** Numbers by rows. Ready input is [N, C, H, W]. */
export interface Tensor {
  data: Float32Array;
  shape: number[];
}

export interface LoadOptions {
  /** A module in place of the package's own: its address, its bytes, or compiled. */
  wasm?: string | URL | ArrayBuffer | Uint8Array | WebAssembly.Module;
  /** 'fma': the bits of AVX2, AVX-512 and NEON, or an error; 'plain': those of scalar code. Left out, the first where it is to be had. */
  exact?: 'fma' | 'plain';
  onProgress?: (loaded: number, total: number | undefined) => void;
  signal?: AbortSignal;
}
export interface CallOptions {
  signal?: AbortSignal;
}

export interface Prediction {
  index: number;
  label: string;
  id: string | null;
  probability: number;
}
/** What Python's `Result.to_dict()` gives, and `lcnet serve`. */
export interface Result {
  known: boolean;
  labels: string[];
  answers?: Record<string, string | string[] | null>;
  top: Prediction[];
}

/** What `GET /v1/models/NAME` of `lcnet serve` says. */
export interface Info {
  architecture: string;
  input_size: [number, number, number];
  num_classes: number;
  embedding_size: number;
  labels: string[] | null;
  multi_label: boolean;
  precision: 'fp32' | 'int8';
  isa: 'wasm_relaxed' | 'wasm_simd128';
  sha256: string | null;
  preprocessing: Record<string, unknown>;
  decision: Record<string, unknown>;
}

export interface Classifier {
  readonly info: Info;
  classify(pictures: Picture | Picture[] | Tensor, options?: CallOptions & { topK?: number }): Promise<Result[]>;
  /** [N, num_classes] before softmax. */
  logits(pictures: Picture | Picture[] | Tensor, options?: CallOptions): Promise<Tensor>;
  /** [N, embedding_size]: what the classifier reads. */
  embeddings(pictures: Picture | Picture[] | Tensor, options?: CallOptions): Promise<Tensor>;
  /** [N, C, H, W] of each reduction. */
  featureMaps(pictures: Picture | Picture[] | Tensor, options?: CallOptions): Promise<Tensor[]>;
  /** The network's input, [N, C, H, W]. */
  preprocess(pictures: Picture | Picture[], options?: CallOptions): Promise<Tensor>;
  /** Gives the memory back; a call that is under way in a worker fails. */
  dispose(): void;
}

/** Raises `LcnetError`: `not_found`, `damaged`, `too_large`, `argument` or `unsupported`. */
export function load(source: Source, options?: LoadOptions): Promise<Classifier>;
/** The same, answered by a module worker of the package. */
export function loadInWorker(source: Source, options?: LoadOptions): Promise<Classifier>;

/** Everything that goes wrong on purpose; codes as the server's: `damaged`, `not_a_picture`, `too_large`, `argument`, ... */
export class LcnetError extends Error {
  code: string;
}
