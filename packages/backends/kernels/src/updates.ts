/** Fast paths of optimisers' updates, in place: those of SGD and Adam without coupled weight decay, whatever their numbers. */
import type { KernelAttributes, Program } from "@spikeroute/core"
import type { FastPath } from "./lif.ts"

type Update = KernelAttributes["elementwise.forward"]

const operands = { gradient: "x0", weight: "y", states: "state", numbers: "h" }

/** The operands of their rows of c/kernels.def, and the operands of core's kernel that these are. */
export const updatePaths = { sgd: operands, adam: operands } as const

/** All of an update but its constants, as a text. */
const keyOf = ({ code, state, y }: Update): string =>
  [...code.map((line) => (line[0] === "constant" ? "constant" : line.join(" "))), state.join(" "), y].join()

// The keys are written out, so that programs that only predict need no optimiser.
const moments =
  "leaf before.0,constant,multiply 0 1,leaf x0,constant,multiply 3 4,add 2 5,leaf before.1,constant,multiply 7 8,constant,multiply 3 10,multiply 11 3,add 9 12,leaf x1,"

const updates: ReadonlyMap<string, { readonly kernel: "sgd" | "adam"; readonly flags: ReadonlyArray<number> }> =
  /* @__PURE__ */ new Map([
    [
      "leaf before.0,constant,multiply 0 1,leaf x0,add 2 3,leaf x1,leaf h.0,multiply 6 4,subtract 5 7,4,8",
      { kernel: "sgd", flags: [] },
    ],
    [
      `${moments}leaf h.1,multiply 15 6,sqrt 13,leaf h.2,multiply 17 18,constant,add 19 20,divide 16 21,subtract 14 22,6 13,23`,
      { kernel: "adam", flags: [0] },
    ],
    [
      `${moments}leaf h.3,multiply 14 15,leaf h.1,multiply 17 6,sqrt 13,leaf h.2,multiply 19 20,constant,add 21 22,divide 18 23,subtract 16 24,6 13,25`,
      { kernel: "adam", flags: [1] },
    ],
  ])

/** The fast path of an update, where there is one. Its attributes are the constants in the order of the code. */
export const updatePathOf = ({ phase, kernel, operands, attributes }: Program.Instruction): FastPath | undefined => {
  if (phase !== "update" || kernel !== "elementwise.forward") return undefined
  if (operands.x1?.buffer !== operands.y?.buffer || operands.before?.buffer !== operands.state?.buffer) return undefined
  const update = attributes as unknown as Update
  const found = updates.get(keyOf(update))
  if (found === undefined) return undefined
  const constants = update.code.flatMap((line) => (line[0] === "constant" ? [{ float: line[1] }] : []))
  return { kernel: found.kernel, attributes: [...constants, ...found.flags] }
}
