/** A program's segments as dispatches, with all that they need made once. */
import { type AnyKernel, kernels, Program, Shape } from "@spikeroute/core"
import { type Device, GpuFailure } from "./device.ts"
import { wgslKernels } from "./kernels/index.ts"
import { fail } from "./memory.ts"
import { Operands, type Stage } from "./shader.ts"

/** One dispatch of a segment. */
export interface Dispatch {
  readonly pipeline: GPUComputePipeline
  readonly workgroups: Stage["workgroups"]
  /** By time step: where the instruction's record of places begins, in bytes. */
  readonly records: ReadonlyArray<number>
}

export interface Commands {
  readonly segments: Readonly<Record<Program.SegmentName, ReadonlyArray<Dispatch>>>
  /** Records of places, one after the other. */
  readonly places: Uint32Array<ArrayBuffer>
  /** Bytes of one record as shaders see it. */
  readonly recordBytes: number
  /** Numbers of scratch memory. */
  readonly scratch: number
}

/** Operands of no kernel are more. */
const mostOperands = 16

/** An instruction as people name it: its kernel, node and shapes. */
const describe = (program: Program.Program, { kernel, node, operands }: Program.Instruction): string => {
  const shapes = Object.entries(operands).map(
    ([name, { buffer }]) => `${name} ${Shape.format((program.buffers[buffer] as Program.Buffer).shape)}`,
  )
  return `${kernel} of ${node} (${shapes.join(", ")})`
}

/** Makes the pipelines of a program. Rejects with a BackendError that names the kernel and its shapes. */
export const makeCommands = async (device: Device, program: Program.Program): Promise<Commands> => {
  const step = device.gpu.limits.minUniformBufferOffsetAlignment
  const records = new Map<string, number>()
  const places: Array<ReadonlyArray<number>> = []
  let scratch = 0

  const recordAt = (refs: ReadonlyArray<Program.Instruction["operands"][string]>, t: number): number => {
    const offsets = refs.map((ref) => {
      const buffer = program.buffers[ref.buffer] as Program.Buffer
      return (buffer.offset + Program.slotOf(buffer, ref, t) * buffer.stride) / 4
    })
    const key = offsets.join()
    const known = records.get(key)
    if (known !== undefined) return known
    const at = places.length * step
    records.set(key, at)
    places.push(offsets)
    return at
  }

  const compile = async (instruction: Program.Instruction): Promise<ReadonlyArray<Dispatch>> => {
    const signature = (kernels.get(instruction.kernel) as AnyKernel).operands
    const names = Object.keys(signature).filter((name) => name in instruction.operands)
    const refs = names.map((name) => instruction.operands[name]!)
    const operands = new Operands(
      Object.fromEntries(
        names.map((name, i) => {
          const { shape, elements } = program.buffers[refs[i]!.buffer] as Program.Buffer
          return [name, { shape, elements, accumulate: refs[i]!.accumulate === true }]
        }),
      ),
      device.info.software,
    )
    const stages = wgslKernels.get(instruction.kernel)!(operands, instruction.attributes)
    const at = Array.from({ length: program.timeSteps }, (_, t) => recordAt(refs, t))
    try {
      return await Promise.all(
        stages.map(async ({ source, workgroups, scratch: needed }) => {
          scratch = Math.max(scratch, needed)
          return { pipeline: await device.pipeline(source), workgroups, records: at }
        }),
      )
    } catch (error) {
      if (error instanceof GpuFailure) throw fail(`${describe(program, instruction)}: ${error.message}`)
      throw error
    }
  }

  const compiled = await Promise.all(
    Program.segmentNames.map(
      async (name) => [name, (await Promise.all(program.segments[name].map(compile))).flat()] as const,
    ),
  )
  const words = new Uint32Array((Math.max(1, places.length) * step) / 4)
  for (const [i, offsets] of places.entries()) words.set(offsets, (i * step) / 4)
  return {
    segments: Object.fromEntries(compiled) as unknown as Commands["segments"],
    places: words,
    recordBytes: 4 * mostOperands,
    scratch,
  }
}
