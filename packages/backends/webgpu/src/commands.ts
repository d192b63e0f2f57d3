/** A program's segments as dispatches, with everything that can be computed once before the first run. */
import { Program, Shape } from "@spikeroute/core"
import { type Device, GpuFailure } from "./device.ts"
import { fuser } from "./fusion.ts"
import type { GpuInstruction, Ref } from "./gpu-instruction.ts"
import { type Linked, link, recordWords, threadsOf } from "./link.ts"
import { fail } from "./memory.ts"
import { mergeIdentical } from "./merge-identical.ts"
import { type Placed, placeScratch, schedule, scratchNumbers } from "./schedule.ts"
import type { Target } from "./shader.ts"

/** One dispatch of a segment. */
export interface Dispatch {
  readonly placed: ReadonlyArray<Placed>
  readonly linked: Linked
  /** Byte offset of the dispatch's record of places: one per time step, or a single one for a segment that is not per step. */
  readonly records: ReadonlyArray<number>
}

/** A program compiled for the GPU. */
export interface Commands {
  readonly segments: Readonly<Record<Program.SegmentName, ReadonlyArray<Dispatch>>>
  /** The program's buffers in a new layout: fused intermediates are gone, and buffers used by concurrent stages never overlap. */
  readonly buffers: ReadonlyArray<Program.Buffer>
  readonly arenaBytes: number
  /** Concatenated records of places. */
  readonly places: Uint32Array<ArrayBuffer>
  readonly tables: Uint32Array<ArrayBuffer>
  /** Size of the scratch memory, in elements. */
  readonly scratch: number
}

/** Bytes of a record that a shader binds. */
export const recordBytes = 4 * recordWords

/** Concatenates rows of numbers, storing equal rows once. */
const store = () => {
  const known = new Map<string, number>()
  const rows: Array<ReadonlyArray<number>> = []
  let top = 0
  return {
    rows,
    /** Offset of a row that occupies `numbers` elements. */
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

/** All buffers that a dispatch uses, as one instruction: the input of memory layout. */
const usedBy = (dispatch: ReadonlyArray<Placed>): Program.Instruction => {
  const [{ instructions }] = dispatch.map(({ instruction }) => instruction) as unknown as readonly [GpuInstruction]
  const refs = dispatch.flatMap(({ instruction }) => instruction.refs)
  return { ...instructions[0], operands: Object.fromEntries(refs.map((ref, i) => [`${i}`, ref])) }
}

/** Compiles a program to dispatches. `alignment` is the GPU's minimum offset of a uniform binding, in bytes. */
export const makeCommands = (program: Program.Program, target: Target, alignment: number): Commands => {
  const fuse = fuser(program, target)
  const instructions = segmentsOf((name) => mergeIdentical(fuse(program.segments[name])))
  const scratch = scratchNumbers(Object.values(instructions).flat())
  const scheduled = segmentsOf((name) => {
    const places = placeScratch(instructions[name], scratch)
    return { places, dispatches: schedule(instructions[name], places) }
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
      const parts = placed.map(({ instruction, stage }) => ({
        names: instruction.names,
        stage: instruction.stages[stage]!,
      }))
      const recordAt = (t: number) =>
        places.put(
          placed.flatMap(({ instruction }) => [
            ...instruction.places(offsetAt(t), tables.put),
            scheduled[name].places.get(instruction)!.from,
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

/** An instruction in an error message: kernel, node and shapes. */
const describe = ({ buffers }: Program.Program, { kernel, node, operands }: Program.Instruction): string => {
  const shapes = Object.entries(operands).map(
    ([name, { buffer }]) => `${name} ${Shape.format((buffers[buffer] as Program.Buffer).shape)}`,
  )
  return `${kernel} of ${node} (${shapes.join(", ")})`
}

/** Creates the pipelines of a program. Rejects with a BackendError that names the kernels and their shapes. */
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
            const names = dispatch.placed.flatMap(({ instruction }) =>
              instruction.instructions.map((each) => describe(program, each)),
            )
            throw fail(`${names.join(" with ")}: ${error.message}`)
          }
        }),
    ),
  )
