/** Fast paths of in-place optimiser updates: SGD and Adam without coupled weight decay, with any constants. */
import type { KernelAttributes, Program } from "@spikeroute/core"
import type { FastPath } from "./lif.ts"

type Update = KernelAttributes["elementwise.forward"]

const operands = { gradient: "x0", weight: "y", states: "state", numbers: "h" }

/** Operands of the kernels in c/kernels.def, and the operands of core's kernel that they replace. */
export const updatePaths = { sgd: operands, adam: operands } as const

/** Text of an update without its constants; three letters identify each operation. */
const keyOf = ({ code, state, y }: Update): string =>
  [
    ...code.map((line) => (line[0] === "constant" ? "con" : line.join(" ").replace(/(?<=^...)\w+/, ""))),
    state.join(" "),
    y,
  ].join()

// The keys are literals, so that inference bundles do not include the optimisers.
const moments =
  "lea before.0,con,mul 0 1,lea x0,con,mul 3 4,add 2 5,lea before.1,con,mul 7 8,con,mul 3 10,mul 11 3,add 9 12,lea x1,"

/** The kernel of an update, and attributes that follow the constants. */
const updates: ReadonlyMap<string, readonly ["sgd" | "adam", ...ReadonlyArray<number>]> = /* @__PURE__ */ new Map([
  ["lea before.0,con,mul 0 1,lea x0,add 2 3,lea x1,lea h.0,mul 6 4,sub 5 7,4,8", ["sgd"]],
  [`${moments}lea h.1,mul 15 6,sqr 13,lea h.2,mul 17 18,con,add 19 20,div 16 21,sub 14 22,6 13,23`, ["adam", 0]],
  [
    `${moments}lea h.3,mul 14 15,lea h.1,mul 17 6,sqr 13,lea h.2,mul 19 20,con,add 21 22,div 18 23,sub 16 24,6 13,25`,
    ["adam", 1],
  ],
])

/** The fast path of an update, if there is one. Its attributes are the constants in code order. */
export const updatePathOf = ({ phase, kernel, operands, attributes }: Program.Instruction): FastPath | undefined => {
  if (phase !== "update" || kernel !== "elementwise.forward") return undefined
  if (operands.x1?.buffer !== operands.y?.buffer || operands.before?.buffer !== operands.state?.buffer) return undefined
  const update = attributes as unknown as Update
  const found = updates.get(keyOf(update))
  if (found === undefined) return undefined
  const constants = update.code.flatMap((line) => (line[0] === "constant" ? [{ float: line[1] }] : []))
  const [row, ...flags] = found
  return { kernel: row, attributes: [...constants, ...flags] }
}
