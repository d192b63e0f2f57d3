/** Fast paths of optimisers' updates, in place: those of SGD and Adam without coupled weight decay, whatever their numbers. */
import { Expressions, type KernelAttributes, Optimizer, type Program } from "@spikeroute/core"
import type { FastPath } from "./lif.ts"

type Update = KernelAttributes["elementwise.forward"]

const operands = { gradient: "x0", weight: "y", states: "state", numbers: "h" }

/** The operands of their rows of c/kernels.def, and the operands of core's kernel that these are. */
export const updatePaths = { sgd: operands, adam: operands } as const

/** All of an update but its constants. */
const shapeOf = ({ code, state, y }: Update): string =>
  JSON.stringify([code.map((line) => (line[0] === "constant" ? line[0] : line)), state, y])

const updates = /* @__PURE__ */ [
  { kernel: "sgd", optimizer: Optimizer.sgd(), flags: [] },
  { kernel: "adam", optimizer: Optimizer.adam(), flags: [0] },
  { kernel: "adam", optimizer: Optimizer.adamw(), flags: [1] },
].map(({ optimizer, ...path }) => ({ ...path, shape: shapeOf(optimizer.update(Expressions.leaf("x0"))) }))

/** The fast path of an update, where there is one. Its attributes are the constants in the order of the code. */
export const updatePathOf = ({ phase, kernel, operands, attributes }: Program.Instruction): FastPath | undefined => {
  if (phase !== "update" || kernel !== "elementwise.forward") return undefined
  if (operands.x1?.buffer !== operands.y?.buffer || operands.before?.buffer !== operands.state?.buffer) return undefined
  const update = attributes as unknown as Update
  const shape = shapeOf(update)
  const found = updates.find((path) => path.shape === shape)
  if (found === undefined) return undefined
  const constants = update.code.flatMap((line) => (line[0] === "constant" ? [{ float: line[1] }] : []))
  return { kernel: found.kernel, attributes: [...constants, ...found.flags] }
}
