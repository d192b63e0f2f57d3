/**
 * Somebody else's script: bench.py in a folder, timed in a process of its own each round. It takes weights and a batch of its own, at
 * random, and prints a line of JSON with `s_per_iter` for
 * `--model conv --impl plain|plainopt --method sltt|slttk|bptt --T 4 --batch 64 --threads 2 [--hoist] [--channels-last]`.
 */
import { join } from "node:path"
import { Effect } from "effect"
import type { Subject } from "../method/measure.ts"
import type { Workload } from "../workloads.ts"
import { PeerError } from "./process.ts"

const configurations = ({ model, policy }: Workload): ReadonlyArray<ReadonlyArray<string>> => {
  const layouts = model === "conv" ? [[], ["--channels-last"]] : [[]]
  const kinds = policy.name === "bptt" ? [["plain"]] : [["plain"], ["plainopt"], ["plainopt", "--hoist"]]
  return kinds.flatMap((kind) => layouts.map((layout) => ["--impl", ...kind, ...layout]))
}

export const scriptSubjects = (
  workload: Workload,
  python: string,
  folder: string,
  threads: number,
): ReadonlyArray<Subject> =>
  configurations(workload).map((configuration) => ({
    name: `bench.py ${configuration.slice(1).join(" ")}`,
    peer: "PyTorch",
    way: true as const,
    open: Effect.succeed({
      run: Effect.gen(function* () {
        const { model, policy, timeSteps, batchSize } = workload
        const method = policy.name.startsWith("slttk") ? "slttk" : policy.name
        const command = [
          ...[python, join(folder, "bench.py"), "--model", model, "--method", method, "--T", `${timeSteps}`],
          ...["--batch", `${batchSize}`, "--threads", `${threads}`, ...configuration],
        ]
        const child = Bun.spawn(command, { stderr: "pipe" })
        const [out, error] = yield* Effect.promise(() =>
          Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]),
        )
        return yield* Effect.try({
          try: () => (JSON.parse(out) as { readonly s_per_iter: number }).s_per_iter,
          catch: () =>
            new PeerError({
              command: command.join(" "),
              reason: `it printed no line of JSON: ${error.trim().split("\n").at(-1) ?? ""}`,
            }),
        })
      }),
    }),
  }))
