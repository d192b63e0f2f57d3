/** What other packages test themselves with: the conformance suite of backends, golden files. */
export * as Golden from "./golden.ts"
