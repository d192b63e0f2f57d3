/** Work of a segment: an instruction, or several that became one. */
import type { Program } from "@spikeroute/core"
import type { Operands, Stage } from "./shader.ts"

export type Ref = Program.Instruction["operands"][string]

export interface Work {
  readonly instructions: readonly [Program.Instruction, ...ReadonlyArray<Program.Instruction>]
  /** What it uses of the program's buffers. */
  readonly refs: ReadonlyArray<Ref>
  readonly operands: Operands
  readonly stages: ReadonlyArray<Stage>
  /** Names of its places, as its stages know them. */
  readonly names: ReadonlyArray<string>
  /** The places by these names, in words, from where operands are and where a table is put. */
  readonly places: (
    offsetOf: (ref: Ref) => number,
    tableAt: (table: ReadonlyArray<number>) => number,
  ) => ReadonlyArray<number>
}

/** Work whose places are those of its operands. */
export const workOf = (
  instructions: Work["instructions"],
  refs: Readonly<Record<string, Ref>>,
  operands: Operands,
  stages: ReadonlyArray<Stage>,
): Work => ({
  instructions,
  refs: Object.values(refs),
  operands,
  stages,
  names: Object.keys(refs),
  places: (offsetOf) => Object.values(refs).map(offsetOf),
})
