/** Expressions, for backends: what a code is, and what the kernels that run codes are told. */
export { type Code, type CodeLine, encode, executable } from "./code.ts"
export { type ElementwiseBackward, type ElementwiseForward, mostInputs, mostParameters } from "./elementwise.ts"
export { leaf } from "./expression.ts"
