/**
 * A program prepared on a GPU: its memory is one buffer, and each run is one submission.
 *
 * Only `read` waits. Each run ends with a copy of metrics and outputs to a mappable buffer, so one wait returns both; anything written
 * in the meantime belongs to the next run.
 */
import {
  type BackendError,
  type Executable,
  type Guard,
  guard,
  Program,
  Shape,
  toBackendError,
  tooLarge,
  UnsupportedKernelError,
} from "@spikeroute/core"
import { Effect, type Scope, Semaphore } from "effect"
import { type Commands, type Dispatch, makeCommands, makePipelines, recordBytes } from "./commands.ts"
import type { Device } from "./device.ts"
import { type FiniteCheck, finiteCheck } from "./finite-check.ts"
import { wgslKernels } from "./kernels/index.ts"
import { memoryOf, name } from "./memory.ts"

interface Buffers {
  readonly arena: GPUBuffer
  readonly places: GPUBuffer
  readonly scratch: GPUBuffer
  readonly tables: GPUBuffer
  readonly frames: GPUBuffer | undefined
  readonly results: GPUBuffer
}

const wait = <A>(body: () => Promise<A>): Effect.Effect<A, BackendError> =>
  Effect.tryPromise({ try: body, catch: toBackendError(name) }).pipe(Effect.uninterruptible)

/** Throws if the adapter cannot bind this much memory. */
const checkSize = ({ gpu: { limits } }: Device, bytes: number): void => {
  const most = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize)
  if (bytes > most) throw tooLarge(name, bytes, most)
}

/** Prepares a program. Its GPU memory is released with the scope. */
export const prepare = (
  device: Device,
  program: Program.Program,
): Effect.Effect<Executable, UnsupportedKernelError | BackendError, Scope.Scope> =>
  Effect.gen(function* () {
    const used = Object.values(program.segments).flatMap((segment) => segment.map(({ kernel }) => kernel))
    const missing = [...new Set(used)].filter((kernel) => !wgslKernels.has(kernel))
    if (missing.length > 0) return yield* new UnsupportedKernelError({ backend: name, kernels: missing })
    const checks = guard(name, program)
    const commands = yield* checks.attempt(() => {
      device.check()
      const { minUniformBufferOffsetAlignment } = device.gpu.limits
      const made = makeCommands(program, device.info, minUniformBufferOffsetAlignment)
      checkSize(device, Math.max(made.arenaBytes, 4 * made.scratch))
      return made
    })
    const pipelines = yield* wait(() => makePipelines(device, program, commands))
    const finite = finiteCheck(commands)
    const check = finite && { ...finite, pipeline: yield* wait(() => device.pipeline(finite.source)) }
    const allocate = (bytes: number, usage: GPUBufferUsageFlags) =>
      Effect.acquireRelease(
        wait(() => device.allocate(Math.max(16, bytes), usage)),
        (buffer) => Effect.sync(() => device.free(buffer)),
      )
    const { STORAGE, UNIFORM, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage
    const results = resultsOf(commands)
    const input = program.buffers.find(({ name }) => name === Program.bufferNames.input)
    const inputBytes = input ? 4 * Shape.size(input.shape) : 0
    const buffers: Buffers = {
      arena: yield* allocate(commands.arenaBytes, STORAGE | COPY_SRC | COPY_DST),
      places: yield* allocate(commands.places.byteLength, UNIFORM | COPY_DST),
      scratch: yield* allocate(4 * commands.scratch + flagBytes, STORAGE | COPY_SRC | COPY_DST),
      tables: yield* allocate(commands.tables.byteLength, STORAGE | COPY_DST),
      frames:
        program.encoding === "frames"
          ? yield* allocate(program.timeSteps * inputBytes, COPY_SRC | COPY_DST)
          : undefined,
      results: yield* allocate(results.bytes + flagBytes, MAP_READ | COPY_DST),
    }
    yield* Effect.addFinalizer(() => Effect.sync(checks.close))
    return yield* checks.attempt(() => make(device, program, checks, commands, pipelines, check, buffers))
  })

/** Size of the non-finite-gradient flag, which follows the scratch memory; its copy follows the results. */
const flagBytes = 4

/** The range of the arena that holds statistics, metrics and outputs. */
const resultsOf = (program: Pick<Program.Program, "buffers">) => {
  const wanted: ReadonlyArray<string> = [Program.bufferNames.metrics, Program.bufferNames.outputs]
  const found = program.buffers.filter(({ name, kind }) => kind === "statistic" || wanted.includes(name))
  const from = Math.min(...found.map(({ offset }) => offset))
  const to = Math.max(...found.map((buffer) => buffer.offset + Program.bufferBytes(buffer)))
  return found.length === 0 ? { from: 0, bytes: 0 } : { from, bytes: to - from }
}

interface Check extends FiniteCheck {
  readonly pipeline: GPUComputePipeline
}

const make = (
  device: Device,
  program: Program.Program,
  checks: Guard,
  commands: Commands,
  pipelines: ReadonlyMap<Dispatch, GPUComputePipeline>,
  check: Check | undefined,
  buffers: Buffers,
): Executable => {
  const { gpu } = device
  const { arena } = buffers
  const { attempt } = checks
  const memory = memoryOf(commands.buffers.filter(({ lifetime: [, last] }) => last >= 0))
  gpu.queue.writeBuffer(buffers.places, 0, commands.places)
  gpu.queue.writeBuffer(buffers.tables, 0, commands.tables)
  const group = gpu.createBindGroup({
    layout: device.layout,
    entries: [
      { binding: 0, resource: { buffer: arena } },
      { binding: 1, resource: { buffer: buffers.places, size: recordBytes } },
      { binding: 2, resource: { buffer: buffers.scratch } },
      { binding: 3, resource: { buffer: buffers.tables } },
    ],
  })
  const results = resultsOf(commands)
  const flagAt = 4 * commands.scratch
  /** State of the results buffer: out of date, copied on the GPU, or already read. */
  let held: "stale" | "copied" | ArrayBuffer = "stale"
  /** The frames that have been uploaded for the next run. */
  let uploaded: Float32Array | undefined
  const reading = Semaphore.makeUnsafe(1)

  /** The queue orders this write after the runs already submitted. */
  const upload = (frames: Float32Array): void => {
    device.check()
    checks.checkFrames(frames)
    gpu.queue.writeBuffer(buffers.frames as GPUBuffer, 0, frames as Float32Array<ArrayBuffer>)
    uploaded = frames
  }

  const run = (calls: ReadonlyArray<Program.Call>, frames?: Float32Array): void => {
    checks.checkCalls(calls, frames)
    device.check()
    if (frames && frames !== uploaded) upload(frames)
    // A run without frames does not consume frames uploaded for a later run.
    if (frames) uploaded = undefined
    const encoder = gpu.createCommandEncoder()
    const finite = calls.some(({ segment }) => segment === "end") ? check : undefined
    if (finite) encoder.clearBuffer(buffers.scratch, flagAt, flagBytes)
    let pass: GPUComputePassEncoder | undefined
    for (const { segment, t } of calls) {
      if (buffers.frames && frames && Program.forwardSegments.has(segment)) {
        pass?.end()
        pass = undefined
        const { offset, bytes } = memory.find(Program.bufferNames.input, t)
        encoder.copyBufferToBuffer(buffers.frames, t * bytes, arena, offset, bytes)
      }
      for (const dispatch of commands.segments[segment]) {
        pass ??= encoder.beginComputePass()
        pass.setPipeline(pipelines.get(dispatch) as GPUComputePipeline)
        pass.setBindGroup(0, group, [dispatch.records[t] ?? (dispatch.records[0] as number)])
        pass.dispatchWorkgroups(...dispatch.linked.workgroups)
      }
    }
    if (finite) {
      pass ??= encoder.beginComputePass()
      pass.setPipeline(finite.pipeline)
      pass.setBindGroup(0, group, [0])
      pass.dispatchWorkgroups(finite.workgroups)
    }
    pass?.end()
    // The optimiser does not change the results.
    const changes = calls.some(({ segment }) => segment !== "update")
    if (changes && results.bytes > 0) encoder.copyBufferToBuffer(arena, results.from, buffers.results, 0, results.bytes)
    if (finite) encoder.copyBufferToBuffer(buffers.scratch, flagAt, buffers.results, results.bytes, flagBytes)
    gpu.queue.submit([encoder.finish()])
    if (changes) held = "copied"
  }

  /** Maps a buffer and copies its bytes. */
  const fetch = async (buffer: GPUBuffer, bytes: number): Promise<ArrayBuffer> => {
    try {
      await buffer.mapAsync(GPUMapMode.READ, 0, bytes)
    } catch (error) {
      device.check()
      throw error
    }
    const copy = buffer.getMappedRange(0, bytes).slice(0)
    buffer.unmap()
    device.check()
    return copy
  }

  const readResults = async (): Promise<ArrayBuffer> => {
    if (held instanceof ArrayBuffer) return held
    const copy = await fetch(buffers.results, results.bytes + flagBytes)
    if (held === "copied") held = copy
    return copy
  }

  const readArena = async (offset: number, bytes: number): Promise<ArrayBuffer> => {
    if (bytes === 0) return new ArrayBuffer(0)
    const staging = await device.allocate(bytes, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST)
    try {
      const encoder = gpu.createCommandEncoder()
      encoder.copyBufferToBuffer(arena, offset, staging, 0, bytes)
      gpu.queue.submit([encoder.finish()])
      return await fetch(staging, bytes)
    } finally {
      device.free(staging)
    }
  }

  const read = async (bufferName: string, t: number): Promise<Float32Array> => {
    checks.checkOpen()
    checks.readable(bufferName, t)
    const { buffer, offset, bytes } = memory.find(bufferName, t)
    device.check()
    const inResults = held !== "stale" && offset >= results.from && offset + bytes <= results.from + results.bytes
    const words = inResults
      ? new Uint32Array(await readResults(), offset - results.from, bytes / 4)
      : new Uint32Array(await readArena(offset, bytes))
    return memory.unpack(buffer, words)
  }

  return {
    program,
    allocatedBytes: () =>
      Object.values(buffers).reduce((sum, buffer) => sum + ((buffer as GPUBuffer | undefined)?.size ?? 0), 0),
    write: (bufferName, values, t = 0) =>
      attempt(() => {
        checks.writable(bufferName, t)
        const words = memory.pack(bufferName, values)
        checks.checkOpen()
        device.check()
        const { offset, bytes } = memory.find(bufferName, t)
        if (offset < results.from + results.bytes && offset + bytes > results.from) held = "stale"
        gpu.queue.writeBuffer(arena, offset, words)
      }).pipe(reading.withPermits(1)),
    read: (bufferName, t = 0) => wait(() => read(bufferName, t)).pipe(reading.withPermits(1)),
    run: (calls, frames) => attempt(() => run(calls, frames)).pipe(reading.withPermits(1)),
    upload: (frames) => attempt(() => upload(frames)),
    gradientsAreFinite: wait(async () => {
      checks.checkOpen()
      return new Uint32Array(await readResults(), results.bytes)[0] === 0
    }).pipe(reading.withPermits(1)),
  }
}
