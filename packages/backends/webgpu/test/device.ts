/** The GPU that tests run on, opened once for a file of tests; where there is none, the tests say why and are skipped. */
import { afterAll, test } from "bun:test"
import { Backend } from "@spikeroute/core"
import { Effect, Layer, Result } from "effect"
import { type Device, openDevice } from "../src/device.ts"
import { fromDevice, Gpu } from "../src/index.ts"

const found = await Effect.runPromise(Effect.result(Gpu.findAdapter))

if (Result.isFailure(found)) console.warn(`no GPU, tests of the WebGPU backend are skipped: ${found.failure.message}`)

/** The adapter, where there is one. */
export const adapter = Result.getOrUndefined(found)

/** A test that needs a GPU. */
export const gpuTest = test.skipIf(adapter === undefined)

/** A device of the adapter. */
export const open = (): Promise<Device> => openDevice(adapter as GPUAdapter, Gpu.info(adapter as GPUAdapter))

/** A device, the backend on it as a layer, and what it holds in bytes. */
export const opened = async () => {
  if (adapter === undefined)
    return { layer: Layer.empty as Layer.Layer<never> as Layer.Layer<Backend>, resources: Effect.succeed(0) }
  const device = await open()
  afterAll(() => device.close())
  return {
    layer: Layer.succeed(Backend, fromDevice(device)),
    resources: Effect.sync(() => device.allocatedBytes()),
  }
}
