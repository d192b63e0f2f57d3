/** The table of surrogate gradients, one line each. */

export { atan } from "./atan.ts"
export { fastSigmoid } from "./fast-sigmoid.ts"
export { rectangle } from "./rectangle.ts"
export { sigmoid } from "./sigmoid.ts"
export { triangle } from "./triangle.ts"
