/**
 * In which dispatches a segment's work is done.
 *
 * Work begins in the order of the program, and each stage goes into the first dispatch in which nothing that it waits for is: so
 * stages that do not depend on one another run side by side. Memory is laid out after that, by dispatches, so that what runs side
 * by side never shares memory.
 */
import type { Program } from "@spikeroute/core"
import { changes } from "./fusion.ts"
import { recordWords, threadsOf, wordsOf } from "./link.ts"
import type { Work } from "./work.ts"

/** A stage of a piece of work. */
export interface Placed {
  readonly work: Work
  readonly stage: number
}

/** Numbers of scratch memory that a piece of work has from its first stage to its last. */
export interface Scratch {
  readonly from: number
  readonly numbers: number
}

interface Use {
  readonly buffer: number
  /** The element, where it is the only one that is touched. */
  readonly element: number | undefined
  readonly changed: boolean
}

/** The element of the metrics that a kernel adds to: several do in one step. */
const elementOf = ({ kernel, attributes }: Program.Instruction, operand: string): number | undefined =>
  operand !== "metrics"
    ? undefined
    : kernel === "spikes.rate"
      ? (attributes.index as number)
      : kernel === "loss.forward"
        ? 0
        : undefined

const usesOf = ({ instructions }: Work): ReadonlyArray<Use> =>
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
  works: ReadonlyArray<Work>,
  scratchOf: ReadonlyMap<Work, Scratch>,
): ReadonlyArray<ReadonlyArray<Placed>> => {
  const dispatches: Array<Array<Placed>> = []
  const earlier: Array<{ readonly uses: ReadonlyArray<Use>; readonly scratch: Scratch; readonly last: number }> = []
  const fits = (dispatch: ReadonlyArray<Placed>, { work, stage }: Placed): boolean => {
    const all = [...dispatch, { work, stage }]
    const parts = all.map(({ work, stage }) => ({ names: work.names, stage: work.stages[stage]! }))
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
  for (const work of works) {
    const uses = usesOf(work)
    const scratch = scratchOf.get(work) as Scratch
    let next = begun
    for (const one of earlier)
      if (dependent(one.uses, uses) || overlap(one.scratch, scratch)) next = Math.max(next, one.last + 1)
    let last = -1
    for (let stage = 0; stage < work.stages.length; stage++) {
      last = put({ work, stage }, next)
      if (stage === 0) begun = last
      next = last + 1
    }
    earlier.push({ uses, scratch, last })
  }
  return dispatches
}

/** Places in scratch memory, one piece of work after the other and from the start again where it ends: see {@link scratchNumbers}. */
export const placeScratch = (works: ReadonlyArray<Work>, total: number): ReadonlyMap<Work, Scratch> => {
  let next = 0
  return new Map(
    works.map((work) => {
      const numbers = needed(work)
      if (next + numbers > total) next = 0
      const from = next
      next += numbers
      return [work, { from, numbers }]
    }),
  )
}

const needed = ({ stages }: Work): number => stages.reduce((most, { scratch }) => Math.max(most, scratch), 0)

/** Numbers of scratch memory for all works: twice what the neediest takes, so that neighbours run side by side. */
export const scratchNumbers = (works: ReadonlyArray<Work>): number =>
  2 * works.reduce((most, work) => Math.max(most, needed(work)), 0)
