/** `peers`: the same training iterations in other libraries, in the same rounds, from the same weights on the same batch. */
import { Policy } from "@spikeroute/core"
import { Effect } from "effect"
import type { Suite } from "../method/suite.ts"
import { peerSubjects, startHosts } from "../peers/index.ts"
import { scriptSubjects } from "../peers/script.ts"
import { stepSubject, valuesOf, type Workload, workloads } from "../workloads.ts"

/** Small enough for TensorFlow.js in plain JavaScript, which the others leave out: it takes minutes for them. */
const smallest: Workload = { model: "conv", policy: Policy.sltt, timeSteps: 4, batchSize: 4 }

export const peers: Suite = {
  name: "peers",
  about: "the same iterations in PyTorch, snnTorch, SpikingJelly, TensorFlow.js and jax-js, where they are installed",
  seconds: 360,
  backends: ["native", "wasm", "tfjs-wasm"],
  cases: ({ threads: counts, python, scripts, quick }, backends) =>
    Effect.gen(function* () {
      const threads = Math.max(...counts)
      const hosts = yield* startHosts(python, threads)
      return yield* Effect.forEach([smallest, ...(quick ? workloads.slice(0, 1) : workloads)], (workload) =>
        Effect.gen(function* () {
          const others = yield* peerSubjects(workload, hosts)
          const foreign = scripts === undefined ? [] : scriptSubjects(workload, python ?? "python3", scripts, threads)
          const names = workload === smallest && !backends.includes("tfjs-cpu") ? [...backends, "tfjs-cpu"] : backends
          return {
            group: `${workload.model}, ${workload.policy.name}, batch ${workload.batchSize}`,
            values: { ...valuesOf(workload), threads },
            subjects: [...names.map((name) => stepSubject(workload, name, threads)), ...others, ...foreign],
          }
        }),
      )
    }),
}
