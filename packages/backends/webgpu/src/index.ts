/**
 * The WebGPU backend: programs on the GPU in WGSL, wherever WebGPU is: browsers, Deno, and Bun and Node through Dawn.
 *
 * Finding a GPU is {@link Gpu}'s.
 */
import { Backend, BackendUnavailableError, Options } from "@spikeroute/core"
import { Effect, Layer } from "effect"
import { type Device, openDevice } from "./device.ts"
import { prepare } from "./executable.ts"
import * as Gpu from "./gpu.ts"
import { name } from "./memory.ts"

export type { Device } from "./device.ts"
export { openDevice } from "./device.ts"
/** WebGPU: finding a GPU, see {@link Gpu}. */
export * as Gpu from "./gpu.ts"

const aDevice: Options.Kind = ["a device, as openDevice gives", (value) => Object(value).info !== undefined]

/** The backend on a device that was opened before. */
export const fromDevice = (device: Device): Backend["Service"] =>
  Backend.of({
    name,
    description: Gpu.format(Options.argument(device, aDevice, "fromDevice").info),
    prepare: (program) => prepare(device, program),
  })

const open = Effect.gen(function* () {
  const adapter = yield* Gpu.findAdapter
  return yield* Effect.tryPromise(() => openDevice(adapter, Gpu.info(adapter)))
}).pipe(
  Effect.mapError(({ message, cause }) => {
    const reason = cause instanceof Error ? cause.message : message
    return new BackendUnavailableError({ backend: name, reason })
  }),
)

/** The backend on the machine's GPU, the faster one where there are two. The device ends with the layer. */
export const layer: Layer.Layer<Backend, BackendUnavailableError> = Layer.effect(
  Backend,
  Effect.acquireRelease(open, ({ close }) => Effect.sync(close)).pipe(Effect.map(fromDevice)),
)
