/** Expressions, for backends: codes, and the attributes of the kernels that run them. */
export { type Code, type CodeLine, encode, executable } from "./code.ts"
export { type ElementwiseBackward, type ElementwiseForward, mostInputs, mostParameters } from "./elementwise.ts"
export { leaf } from "./expression.ts"
