/** Builds web pages from the repository's modules: a bundler, and a server with cross-origin isolation. */
export { type BundleOptions, bundle } from "./bundle.ts"
export { isolation, type Served, serve } from "./serve.ts"
