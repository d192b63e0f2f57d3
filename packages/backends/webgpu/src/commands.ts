/** A program's segments as dispatches, with all that they need made once. */
import { Program, Shape } from "@spikeroute/core"
import { joinAlike } from "./alike.ts"
import { type Device, GpuFailure } from "./device.ts"
import { fuser } from "./fusion.ts"
import { type Linked, link, recordWords, threadsOf } from "./link.ts"
import { fail } from "./memory.ts"
import { type Placed, placeScratch, schedule, scratchNumbers } from "./schedule.ts"
import type { Target } from "./shader.ts"
import type { Ref, Work } from "./work.ts"

/** One dispatch of a segment. */
export interface Dispatch {
  readonly placed: ReadonlyArray<Placed>
  readonly linked: Linked
  /** By time step, or once for all where the segment is not of a step: where its record of places begins, in bytes. */
  readonly records: ReadonlyArray<number>
}

/** A program as a GPU runs it. */
export interface Commands {
  readonly segments: Readonly<Record<Program.SegmentName, ReadonlyArray<Dispatch>>>
  /** The program's buffers, laid out anew: what was fused needs none between, and what runs side by side does not share. */
  readonly buffers: ReadonlyArray<Program.Buffer>
  readonly arenaBytes: number
  /** Records of places, one after the other. */
  readonly places: Uint32Array<ArrayBuffer>
  readonly tables: Uint32Array<ArrayBuffer>
  /** Numbers of scratch memory. */
  readonly scratch: number
}

/** Bytes of a record as shaders see it. */
export const recordBytes = 4 * recordWords

/** Puts rows of numbers one after the other, equal ones once. */
const store = () => {
  const known = new Map<string, number>()
  const rows: Array<ReadonlyArray<number>> = []
  let top = 0
  return {
    rows,
    /** Where a row of so many numbers is. */
    put: (row: ReadonlyArray<number>, numbers = row.length): number => {
      const key = row.join()
      const at = known.get(key) ?? top
      if (at === top && !known.has(key)) {
        known.set(key, at)
        rows.push(row)
        top += numbers
      }
      return at
    },
  }
}

const segmentsOf = <A>(make: (name: Program.SegmentName) => A): Readonly<Record<Program.SegmentName, A>> =>
  Object.fromEntries(Program.segmentNames.map((name) => [name, make(name)])) as Record<Program.SegmentName, A>

const isStep = (name: Program.SegmentName): boolean => Program.segmentKinds[name].runs === "step"

/** What a dispatch uses, as an instruction: what memory is laid out by. */
const usedBy = (dispatch: ReadonlyArray<Placed>): Program.Instruction => {
  const [{ instructions }] = dispatch.map(({ work }) => work) as unknown as readonly [Work]
  const refs = dispatch.flatMap(({ work }) => work.refs)
  return { ...instructions[0], operands: Object.fromEntries(refs.map((ref, i) => [`${i}`, ref])) }
}

/** The dispatches of a program for a GPU whose records begin at multiples of so many bytes. */
export const makeCommands = (program: Program.Program, target: Target, alignment: number): Commands => {
  const fuse = fuser(program, target)
  const works = segmentsOf((name) => joinAlike(fuse(program.segments[name])))
  const scratch = scratchNumbers(Object.values(works).flat())
  const scheduled = segmentsOf((name) => {
    const places = placeScratch(works[name], scratch)
    return { places, dispatches: schedule(works[name], places) }
  })
  const { buffers, arenaBytes } = Program.layOut(
    program.buffers,
    segmentsOf((name) => scheduled[name].dispatches.map(usedBy)),
  )

  const tables = store()
  const places = store()
  const recordStride = Math.max(recordBytes, alignment) / 4
  const offsetAt = (t: number) => (ref: Ref) => {
    const buffer = buffers[ref.buffer] as Program.Buffer
    return (buffer.offset + Program.slotOf(buffer, ref, t) * buffer.stride) / 4
  }
  const segments = segmentsOf((name) =>
    scheduled[name].dispatches.map((placed): Dispatch => {
      const parts = placed.map(({ work, stage }) => ({ names: work.names, stage: work.stages[stage]! }))
      const recordAt = (t: number) =>
        places.put(
          placed.flatMap(({ work }) => [
            ...work.places(offsetAt(t), tables.put),
            scheduled[name].places.get(work)!.from,
          ]),
          recordStride,
        )
      return {
        placed,
        linked: link(parts, threadsOf(parts.map(({ stage }) => stage)) as number),
        records: Array.from({ length: isStep(name) ? program.timeSteps : 1 }, (_, t) => 4 * recordAt(t)),
      }
    }),
  )
  const words = new Uint32Array(Math.max(1, places.rows.length) * recordStride)
  for (const [i, row] of places.rows.entries()) words.set(row, i * recordStride)
  return { segments, buffers, arenaBytes, places: words, tables: Uint32Array.from(tables.rows.flat()), scratch }
}

/** An instruction as people name it: its kernel, node and shapes. */
const describe = ({ buffers }: Program.Program, { kernel, node, operands }: Program.Instruction): string => {
  const shapes = Object.entries(operands).map(
    ([name, { buffer }]) => `${name} ${Shape.format((buffers[buffer] as Program.Buffer).shape)}`,
  )
  return `${kernel} of ${node} (${shapes.join(", ")})`
}

/** Makes the pipelines of a program. Rejects with a BackendError that names the kernels and their shapes. */
export const makePipelines = async (
  device: Device,
  program: Program.Program,
  { segments }: Commands,
): Promise<ReadonlyMap<Dispatch, GPUComputePipeline>> =>
  new Map(
    await Promise.all(
      Object.values(segments)
        .flat()
        .map(async (dispatch): Promise<[Dispatch, GPUComputePipeline]> => {
          try {
            return [dispatch, await device.pipeline(dispatch.linked.source)]
          } catch (error) {
            if (!(error instanceof GpuFailure)) throw error
            const names = dispatch.placed.flatMap(({ work }) =>
              work.instructions.map((each) => describe(program, each)),
            )
            throw fail(`${names.join(" with ")}: ${error.message}`)
          }
        }),
    ),
  )
