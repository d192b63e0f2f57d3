/** Import and export of networks in the Neuromorphic Intermediate Representation (NIR). */
export { type Document, type Metadata, NirError, type NirNode, type Numbers, type Value } from "./document.ts"
export { documentOf } from "./export.ts"
export { addFilter, read, write } from "./hdf5.ts"
export { type Network, networkOf } from "./network.ts"
export { type Discretisation, DiscretisationSchema } from "./neurons.ts"
export { type Errors, passes, verify } from "./verify.ts"
