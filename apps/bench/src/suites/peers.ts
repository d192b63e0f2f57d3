/** `peers`: the same training iterations in other libraries, in the same rounds, from the same weights on the same batch. */
import { Effect } from "effect"
import type { Suite } from "../method/suite.ts"
import { peerSubjects, startHosts } from "../peers/index.ts"
import { scriptSubjects } from "../peers/script.ts"
import { stepSubject, valuesOf, workloads } from "../workloads.ts"

export const peers: Suite = {
  name: "peers",
  about: "the same iterations in PyTorch, snnTorch, SpikingJelly, TensorFlow.js and jax-js, where they are installed",
  seconds: 360,
  backends: ["native", "wasm", "tfjs-wasm", "tfjs-cpu"],
  cases: ({ threads: counts, python, scripts, quick }, backends) =>
    Effect.gen(function* () {
      const threads = Math.max(...counts)
      const hosts = yield* startHosts(python, threads)
      return yield* Effect.forEach(quick ? workloads.slice(0, 2) : workloads, (workload) =>
        Effect.gen(function* () {
          const others = yield* peerSubjects(workload, hosts)
          const foreign = scripts === undefined ? [] : scriptSubjects(workload, python ?? "python3", scripts, threads)
          return {
            group: `${workload.model}, ${workload.policy.name}`,
            values: { ...valuesOf(workload), threads },
            subjects: [...backends.map((name) => stepSubject(workload, name, threads)), ...others, ...foreign],
          }
        }),
      )
    }),
}
