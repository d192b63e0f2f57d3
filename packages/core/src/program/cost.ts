/** The cost of a program, known before it runs: exact operation counts from its instructions, exact bytes from its layout. */
import { aProgram, argument, type Kind } from "../arguments.ts"
import { addCost, type Bound, type Cost, noCost, type TensorType } from "../kernel.ts"
import { referenceKernels } from "../references.ts"
import { type BufferKind, bufferBytes, bufferKinds, type Instruction, type Program } from "./program.ts"
import { schedule } from "./schedule.ts"

/** The memory of a program, and its operations per batch. */
export interface ProgramCost {
  /** Bytes of the arena. */
  readonly peakBytes: number
  /** Bytes by kind of the buffers alive at the time of the highest use. Their sum is at most `peakBytes`. */
  readonly bytesByKind: Readonly<Record<BufferKind, number>>
  /** Operations per batch, by phase. */
  readonly forward: Cost
  readonly backward: Cost
  readonly update: Cost
}

const anInstruction: Kind = [
  "an instruction of the program",
  (value) => typeof (value as Instruction | null)?.operands === "object",
]

/** The cost of one instruction. */
export const instructionCost = (program: Program, instruction: Instruction): Cost => {
  argument(program, aProgram)
  const { kernel, operands, attributes } = argument(instruction, anInstruction)
  const types = Object.fromEntries(
    Object.entries(operands).map(([name, ref]) => [name, program.buffers[ref.buffer]]),
  ) as unknown as Bound<Record<string, "read">, TensorType>
  return referenceKernels.get(kernel)?.cost(types, attributes) ?? noCost
}

/** The trained steps for which a cost is stated: the last ones, which are the most expensive, if the policy draws them. */
export const representativeSteps = (program: Program): ReadonlyArray<number> => {
  const { timeSteps, trainedSteps } = argument(program, aProgram)
  return Array.from({ length: trainedSteps }, (_, i) => timeSteps - trainedSteps + i)
}

/** The cost of one batch, if the given steps are trained. */
export const cost = (program: Program, trained: ReadonlyArray<number> = representativeSteps(program)): ProgramCost => {
  argument(program, aProgram)
  const phases = { forward: noCost, backward: noCost, update: noCost }
  const runs = new Map<string, number>()
  for (let part = 0; part < program.microBatches; part++)
    for (const { segment } of schedule(program, trained, part)) runs.set(segment, (runs.get(segment) ?? 0) + 1)
  for (const [segment, count] of runs)
    for (const instruction of program.segments[segment as keyof Program["segments"]])
      phases[instruction.phase] = addCost(phases[instruction.phase], instructionCost(program, instruction), count)
  return { peakBytes: program.arenaBytes, bytesByKind: bytesAtPeak(program), ...phases }
}

const bytesAtPeak = ({ buffers }: Program): Record<BufferKind, number> => {
  const byKind = (position: number) => {
    const bytes = Object.fromEntries(bufferKinds.map((kind) => [kind, 0])) as Record<BufferKind, number>
    for (const buffer of buffers)
      if (buffer.lifetime[0] <= position && position <= buffer.lifetime[1]) bytes[buffer.kind] += bufferBytes(buffer)
    return bytes
  }
  const total = (bytes: Record<BufferKind, number>) => Object.values(bytes).reduce((sum, n) => sum + n, 0)
  const positions = new Set(buffers.map(({ lifetime }) => lifetime[0]))
  return [...positions].map(byKind).reduce((best, next) => (total(next) > total(best) ? next : best), byKind(0))
}
