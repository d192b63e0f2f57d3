import { info } from "@spikeroute/backend-webgpu/gpu"
import { findTestAdapter, isQuick } from "@spikeroute/test-support"
import type { Engine } from "../src/engine.ts"
import { type EngineName, engines } from "../src/engines.ts"

const { adapter, missing } = await findTestAdapter()

/** Why `tfjs-webgpu` cannot run on this machine; `undefined` if it can. */
export const withoutGpu = missing

/** The engines that run on this machine. The caller closes them. */
export const loadEngines = (): Promise<ReadonlyArray<Engine>> =>
  Promise.all(
    (Object.keys(engines) as ReadonlyArray<EngineName>)
      .filter((name) => name !== "tfjs-webgpu" || missing === undefined)
      .map((name) => engines[name]({ threads: 2 })),
  )

const onSoftware = adapter !== undefined && info(adapter).software

/** A software GPU compiles a shader for seconds, and `tfjs-cpu` composes the same operations: it runs every third example. */
export const exampleStride = (engine: Engine): number => (engine.name === "tfjs-webgpu" && onSoftware ? 3 : 1)

/** Whether an engine runs this conformance case. */
export const runs = (engine: Engine, name: string): boolean =>
  engine.name !== "tfjs-webgpu" || !onSoftware || isQuick(name)

/** Whether an engine verifies this golden file: a software GPU takes half a minute per network, so it verifies only one. */
export const verifies = (engine: Engine, file: string): boolean =>
  engine.name !== "tfjs-webgpu" || !onSoftware || file === "vgg11-sltt.safetensors"
