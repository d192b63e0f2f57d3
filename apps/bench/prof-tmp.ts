import { Backend, Graph, Key, Models, Optimizer, Policy, Train } from "@spikeroute/core"
import { Context, Effect, Layer } from "effect"
import { backendLayer } from "./src/backends.ts"

const [, , model = "conv", pol = "sltt", T = "4", B = "64", backend = "native", threads = "1", iters = "30"] =
  process.argv
const [timeSteps, batchSize] = [Number(T), Number(B)]
const shapes: any = { conv: [28, 28, 1], mlp: [28, 28, 1], resnet18: [32, 32, 3], vgg11: [48, 48, 2] }
const shape = shapes[model]
const policy = pol === "bptt" ? Policy.bptt : pol === "sltt" ? Policy.sltt : Policy.slttK(Number(pol.slice(5)))
const rss = () => Number(/VmHWM:\s+(\d+)/.exec(require("fs").readFileSync("/proc/self/status", "utf8"))![1]) / 1024
await Effect.runPromise(
  Effect.gen(function* () {
    const context = yield* Layer.build(backendLayer(backend, Number(threads)))
    const graph = yield* Graph.make(shape, (Models.models as any)[model](10, { tau: 2 }))
    const encoding = model === "vgg11" ? ("frames" as const) : ("static" as const)
    const trainer = yield* Train.make(graph, policy, {
      batchSize,
      timeSteps,
      encoding,
      loss: { mix: model.length > 4 ? 0.05 : 0, target: "ones" },
      optimizer: Optimizer.options("adam"),
      key: Key.make(0),
    }).pipe(Effect.provideService(Backend, Context.get(context, Backend)))
    const n = batchSize * shape.reduce((a: number, b: number) => a * b, 1) * (encoding === "frames" ? timeSteps : 1)
    const inputs = Key.uniform(Key.make(1), new Float32Array(n)).map((u) =>
      model === "vgg11" ? (u < 0.15 ? 1 : 0) : u,
    )
    const labels = Key.uniform(Key.make(2), new Float32Array(batchSize)).map((u) => Math.floor(10 * u))
    const r0 = rss()
    const ts: number[] = []
    let last: any
    for (let i = 0; i < 1 + Number(iters); i++) {
      const t = performance.now()
      last = yield* trainer.step({ inputs, labels }, { update: i + 1, learningRate: 1e-3 })
      if (i > 0) ts.push(performance.now() - t)
    }
    ts.sort((a, b) => a - b)
    console.log(
      model,
      pol,
      threads,
      "min",
      ts[0]!.toFixed(1),
      "median",
      ts[ts.length >> 1]!.toFixed(1),
      last.loss.toFixed(3),
      last.firingRates.map((x: number) => (100 * x).toFixed(0)).join(" "),
      "plan MB",
      (trainer.program.arenaBytes / 1e6).toFixed(0),
      "growth",
      (rss() - r0).toFixed(0),
    )
  }).pipe(Effect.scoped) as any,
)
