/**
 * Spikeroute's core: graphs, gradient-routing policies, the compiler to programs, training and prediction, and the interface of
 * backends.
 */

export * from "./backend/backend.ts"
export * from "./backend/guard.ts"
export * from "./errors.ts"
/** Codes of expressions, for backends. */
export * as Expressions from "./expressions/index.ts"
/** Graphs: what a network computes at one time step, built from layers, and as JSON. */
export * as Graph from "./graph/index.ts"
/** Initial values of parameters. */
export * as Initializers from "./initializers.ts"
export { ensureFinite, fit } from "./interop/fit.ts"
/** NumPy's files, `.npy` and `.npz`. */
export * as Numpy from "./interop/npy.ts"
/** Conversion to and from PyTorch's layouts, state dicts and files. */
export * as PyTorch from "./interop/pytorch.ts"
/** Safetensors files. */
export * as Safetensors from "./interop/safetensors.ts"
export type { AnyKernel, AnyReferenceKernel, Cost, Kernel, Operand } from "./kernel.ts"
export { type AttributedKernel, type KernelAttributes, type KernelName, kernels } from "./kernels.ts"
export * from "./layers.ts"
export { defaultLoss, type Loss, LossSchema } from "./loss.ts"
/** Terms of a loss. */
export * as Losses from "./losses/index.ts"
/** Named models: perceptrons, ResNets, VGGs. */
export * as Models from "./models/index.ts"
/** Custom neuron models, and expressions. */
export * as Neuron from "./neurons/index.ts"
export type { Mode, Ref } from "./op.ts"
/** Windows of convolutions and pools, for backends. */
export * as Windows from "./ops/window.ts"
/** Optimisers, and the definition of custom ones. */
export * as Optimizer from "./optimizers/index.ts"
/** Schemas and checks of options. */
export * as Options from "./options.ts"
/** Gradient-routing policies: BPTT, SLTT, OTTT, e-prop and others, and the parts to compose them from. */
export * as Policy from "./policies/policy.ts"
/** Selections of time steps to train. */
export * as Steps from "./policies/steps.ts"
/** Programs: the compiler, schedules, costs and buffers. */
export * as Program from "./program/index.ts"
/** Random numbers from explicit keys. */
export * as Key from "./random.ts"
export { referenceKernels } from "./references.ts"
/** Shapes of tensors. */
export * as Shape from "./shape.ts"
/** Spikes packed into bits. */
export * as Spikes from "./spikes.ts"
/** Surrogate gradients. */
export * as Surrogate from "./surrogates/index.ts"
export { nearest, quote } from "./text.ts"
export * from "./train/errors.ts"
/** Trainers and predictors, learning rates, accuracy. */
export * as Train from "./train/index.ts"
