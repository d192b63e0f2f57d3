import { noMemory } from "./packed.ts"

/** The kernels' refusal codes (c/session.h) in words. */
const reasons: Readonly<Record<number, string>> = {
  1: "this is not a packed program",
  2: "buffer # lies outside the arena, or its sizes are inconsistent",
  3: "instruction # lies outside the program",
  4: "instruction # has an unknown opcode",
  5: "instruction # names an unknown buffer",
  6: "instruction # lacks an operand",
  7: "an operand of instruction # has the wrong kind of elements",
  8: "shapes or attributes of instruction # are inconsistent",
  9: "the session is closed",
  10: "there is no such segment or time step",
  [noMemory]: "there is not enough memory",
  12: "the session is running on another thread",
}

/** A sentence for a refusal: −(reason + 16·index) from `open`, or a reason from `run`. */
export const describeRefusal = (code: number): string => {
  const refusal = Math.abs(code)
  return (reasons[refusal % 16] ?? `refused (${refusal})`).replace("#", String(Math.floor(refusal / 16)))
}
