/** `scale`: time of an iteration against time steps, batch, width and input activity. */
import { Policy } from "@spikeroute/core"
import { Effect } from "effect"
import type { Case, Suite } from "../method/suite.ts"
import { noise, stepSubject, valuesOf, type Workload } from "../workloads.ts"

const base = { model: "conv", timeSteps: 8, batchSize: 32 } as const

/** The axes; the values of an axis are subjects of one group, so that their ratios are reliable. */
const axes: Readonly<Record<string, ReadonlyArray<Partial<Workload>>>> = {
  "time steps": [2, 4, 8, 16, 32].map((timeSteps) => ({ timeSteps })),
  batch: [8, 16, 32, 64, 128].map((batchSize) => ({ batchSize })),
  width: [0.25, 0.5, 1, 2].map((width) => ({ width })),
}

/** Brightness of the input: brighter inputs make neurons fire more. */
const brightness = [0.5, 1, 2, 4, 8]

export const scale: Suite = {
  name: "scale",
  about: "an iteration's time against time steps, batch, width and firing rates",
  seconds: 150,
  backends: ["native", "wasm"],
  cases: ({ threads: counts, quick }, backends) =>
    Effect.sync(() => {
      const threads = Math.max(...counts)
      const policies = quick ? [Policy.sltt] : [Policy.sltt, Policy.bptt]
      const groups = policies.flatMap((policy) =>
        backends.flatMap((backend) =>
          Object.entries(axes).map(
            ([axis, points]): Case => ({
              group: `${axis}, ${policy.name}, ${backend}`,
              values: { model: base.model, policy: policy.name },
              subjects: points.map((point) => {
                const workload = { ...base, policy, ...point }
                const subject = stepSubject(workload, backend, threads)
                return { ...subject, values: { ...subject.values, ...valuesOf(workload), width: workload.width ?? 1 } }
              }),
            }),
          ),
        ),
      )
      const densities = backends.map((backend): Case => {
        const workload = { ...base, policy: Policy.sltt }
        return {
          group: `firing rates, sltt, ${backend}`,
          values: valuesOf(workload),
          subjects: brightness.map((scale) => {
            const subject = stepSubject(workload, backend, threads, { batch: noise(base.batchSize, scale) })
            return { ...subject, values: { ...subject.values, brightness: scale } }
          }),
        }
      })
      return [...groups, ...densities]
    }),
}
