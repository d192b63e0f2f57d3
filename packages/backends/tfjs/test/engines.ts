import { info } from "@spikeroute/backend-webgpu/gpu"
import { findTestAdapter, isQuick } from "@spikeroute/test-support"
import type { Engine } from "../src/engine.ts"
import { type EngineName, engines } from "../src/engines.ts"

const { adapter, missing } = await findTestAdapter()

/** Why `tfjs-webgpu` cannot run on this machine, where it cannot. */
export const withoutGpu = missing

/** The engines that run on this machine. Whoever calls closes them. */
export const loadEngines = (): Promise<ReadonlyArray<Engine>> =>
  Promise.all(
    (Object.keys(engines) as ReadonlyArray<EngineName>)
      .filter((name) => name !== "tfjs-webgpu" || missing === undefined)
      .map((name) => engines[name]({ threads: 2 })),
  )

const onSoftware = adapter !== undefined && info(adapter).software

/** Whether an engine runs this case of the conformance suite. */
export const runs = (engine: Engine, name: string): boolean =>
  engine.name !== "tfjs-webgpu" || !onSoftware || isQuick(name)

/** Whether an engine is held to this golden file: a GPU made of software to one network, as each takes it half a minute. */
export const verifies = (engine: Engine, file: string): boolean =>
  engine.name !== "tfjs-webgpu" || !onSoftware || file === "vgg11-sltt.safetensors"
