/** The table of optimisers: a file, and a line here, for each. */
export { adam, adamw } from "./adam.ts"
export { lion } from "./lion.ts"
export { sgd } from "./sgd.ts"
