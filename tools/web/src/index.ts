/** What a web page needs that is made of the repository's modules: bundles, and a server that isolates it. */
export { type BundleOptions, bundle } from "./bundle.ts"
export { isolation, type Served, serve } from "./serve.ts"
