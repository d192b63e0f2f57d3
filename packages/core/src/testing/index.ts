/** Test utilities for other packages: the conformance suite for backends, random networks, golden files. */
export * as Arbitrary from "./arbitrary/index.ts"
/** The conformance suite for backends. */
export * as Conformance from "./conformance/index.ts"
/** Weights and batches drawn from seeds. */
export * as Drawn from "./drawn.ts"
/** Golden files with PyTorch's results. */
export * as Golden from "./golden.ts"
