// LCNet image classifiers in browsers, Node and Deno: the model files of the Python package lcnet, and its results.
export { LcnetError } from './errors.js';
export { load } from './classifier.js';
export { loadInWorker } from './remote.js';
