/** The table of optimisers: one file and one line here each. */
export { adam, adamw } from "./adam.ts"
export { lion } from "./lion.ts"
export { sgd } from "./sgd.ts"
