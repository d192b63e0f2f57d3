/** Test utilities for other packages: the conformance suite for backends, random networks, golden files. */
export * as Arbitrary from "./arbitrary/index.ts"
export * as Conformance from "./conformance/index.ts"
export * as Drawn from "./drawn.ts"
export * as Golden from "./golden.ts"
