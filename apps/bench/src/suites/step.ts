/** `step`: one training iteration on several backends and numbers of threads; after 100 steps on MNIST if `--mnist` is given. */
import { Effect } from "effect"
import type { Suite } from "../method/suite.ts"
import { pretrainedOnMnist } from "../pretrained.ts"
import { stepSubject, valuesOf, type Workload, workloads } from "../workloads.ts"

export const stepOf = (chosen: ReadonlyArray<Workload>) =>
  ({
    name: "step",
    about: "one training iteration: models, policies, backends, threads",
    seconds: 180,
    backends: ["native", "wasm", "tfjs-wasm"],
    cases: ({ threads, mnist, quick }, backends) =>
      Effect.forEach(quick ? chosen.slice(0, 2) : chosen, (workload) =>
        Effect.gen(function* () {
          const [first = "native"] = backends
          const state =
            mnist === undefined ? {} : yield* pretrainedOnMnist(workload, mnist, first, Math.max(...threads))
          return {
            group: `${workload.model}, ${workload.policy.name}`,
            values: { ...valuesOf(workload), data: mnist === undefined ? "noise" : "MNIST" },
            subjects: backends.flatMap((name) =>
              threads.map((count) => stepSubject(workload, name, count, state, true)),
            ),
          }
        }),
      ),
  }) satisfies Suite

export const step = stepOf(workloads)
