/**
 * Schedules the stages of a segment into dispatches.
 *
 * Instructions are scheduled in program order; each stage goes into the first dispatch after everything that it depends on, so that
 * independent stages share a dispatch. Memory is laid out afterwards, per dispatch, so that concurrent stages never share memory.
 */
import type { Program } from "@spikeroute/core"
import { changes } from "./fusion.ts"
import type { GpuInstruction } from "./gpu-instruction.ts"
import { recordWords, threadsOf, wordsOf } from "./link.ts"

/** One stage of an instruction. */
export interface Placed {
  readonly instruction: GpuInstruction
  readonly stage: number
}

/** Scratch memory of an instruction, from its first stage to its last; in elements. */
export interface Scratch {
  readonly from: number
  readonly numbers: number
}

interface Use {
  readonly buffer: number
  /** The only element accessed, if there is one. */
  readonly element: number | undefined
  readonly changed: boolean
}

/** The element of the metrics that a kernel adds to: several kernels add to the metrics in one step. */
const elementOf = ({ kernel, attributes }: Program.Instruction, operand: string): number | undefined =>
  operand !== "metrics"
    ? undefined
    : kernel === "spikes.rate"
      ? (attributes.index as number)
      : kernel === "loss.forward"
        ? 0
        : undefined

const usesOf = ({ instructions }: GpuInstruction): ReadonlyArray<Use> =>
  instructions.flatMap((instruction) =>
    Object.entries(instruction.operands).map(([operand, { buffer }]) => ({
      buffer,
      element: elementOf(instruction, operand),
      changed: changes(instruction.kernel, operand),
    })),
  )

const dependent = (a: ReadonlyArray<Use>, b: ReadonlyArray<Use>): boolean =>
  a.some((one) =>
    b.some(
      (other) =>
        one.buffer === other.buffer &&
        (one.changed || other.changed) &&
        (one.element === undefined || other.element === undefined || one.element === other.element),
    ),
  )

const overlap = (a: Scratch, b: Scratch): boolean => a.from < b.from + b.numbers && b.from < a.from + a.numbers

export const schedule = (
  instructions: ReadonlyArray<GpuInstruction>,
  scratchOf: ReadonlyMap<GpuInstruction, Scratch>,
): ReadonlyArray<ReadonlyArray<Placed>> => {
  const dispatches: Array<Array<Placed>> = []
  const earlier: Array<{ readonly uses: ReadonlyArray<Use>; readonly scratch: Scratch; readonly last: number }> = []
  const fits = (dispatch: ReadonlyArray<Placed>, { instruction, stage }: Placed): boolean => {
    const all = [...dispatch, { instruction, stage }]
    const parts = all.map(({ instruction, stage }) => ({ names: instruction.names, stage: instruction.stages[stage]! }))
    return (
      threadsOf(parts.map(({ stage }) => stage)) !== undefined &&
      parts.reduce((sum, part) => sum + wordsOf(part), 0) <= recordWords
    )
  }
  const put = (placed: Placed, from: number): number => {
    const found = dispatches.findIndex((dispatch, i) => i >= from && fits(dispatch, placed))
    if (found >= 0) dispatches[found]?.push(placed)
    else dispatches.push([placed])
    return found >= 0 ? found : dispatches.length - 1
  }

  let begun = 0
  for (const instruction of instructions) {
    const uses = usesOf(instruction)
    const scratch = scratchOf.get(instruction) as Scratch
    let next = begun
    for (const one of earlier)
      if (dependent(one.uses, uses) || overlap(one.scratch, scratch)) next = Math.max(next, one.last + 1)
    let last = -1
    for (let stage = 0; stage < instruction.stages.length; stage++) {
      last = put({ instruction, stage }, next)
      if (stage === 0) begun = last
      next = last + 1
    }
    earlier.push({ uses, scratch, last })
  }
  return dispatches
}

/** Assigns scratch memory to instructions, as a ring: see {@link scratchNumbers}. */
export const placeScratch = (
  instructions: ReadonlyArray<GpuInstruction>,
  total: number,
): ReadonlyMap<GpuInstruction, Scratch> => {
  let next = 0
  return new Map(
    instructions.map((instruction) => {
      const numbers = needed(instruction)
      if (next + numbers > total) next = 0
      const from = next
      next += numbers
      return [instruction, { from, numbers }]
    }),
  )
}

const needed = ({ stages }: GpuInstruction): number => stages.reduce((most, { scratch }) => Math.max(most, scratch), 0)

/** Size of the scratch memory in elements: twice the largest need, so that neighbours can run concurrently. */
export const scratchNumbers = (instructions: ReadonlyArray<GpuInstruction>): number =>
  2 * instructions.reduce((most, instruction) => Math.max(most, needed(instruction)), 0)
