/** An instruction for the GPU: one of the program's instructions, or several that were fused or merged. */
import type { Program } from "@spikeroute/core"
import type { Operands, Stage } from "./shader.ts"

export type Ref = Program.Instruction["operands"][string]

export interface GpuInstruction {
  readonly instructions: readonly [Program.Instruction, ...ReadonlyArray<Program.Instruction>]
  /** The program's buffers that it uses. */
  readonly refs: ReadonlyArray<Ref>
  readonly operands: Operands
  readonly stages: ReadonlyArray<Stage>
  /** Names of its places, as the stages refer to them. */
  readonly names: ReadonlyArray<string>
  /** The places in the order of `names`, in words; takes the offset of an operand and the offset at which a table is stored. */
  readonly places: (
    offsetOf: (ref: Ref) => number,
    tableAt: (table: ReadonlyArray<number>) => number,
  ) => ReadonlyArray<number>
}

/** An instruction whose places are the offsets of its operands. */
export const gpuInstruction = (
  instructions: GpuInstruction["instructions"],
  refs: Readonly<Record<string, Ref>>,
  operands: Operands,
  stages: ReadonlyArray<Stage>,
): GpuInstruction => ({
  instructions,
  refs: Object.values(refs),
  operands,
  stages,
  names: Object.keys(refs),
  places: (offsetOf) => Object.values(refs).map(offsetOf),
})
