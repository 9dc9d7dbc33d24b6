// What a CUDA kernel needs to run on a CPU. The threads of a block are fibres: each runs to the next barrier, in an
// order that turns around there, so that a barrier that is missing shows; blocks run one after the other. Pointers know
// where their array ends.
#include <algorithm>
#include <cmath>
#include <functional>
#include <ucontext.h>
#include <vector>

#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(threads)
#define __align__(bytes) alignas(bytes)

using namespace std;

struct Index {
    int x;
};
static Index gridDim, blockIdx, blockDim, threadIdx;

namespace fibres {
    const size_t STACK = 1 << 16;
    static ucontext_t scheduler;
    static vector<ucontext_t> threads;
    static vector<char> stacks;
    static function<void()> kernel;
    static int waiting;
    static int votes[2];
    static int round;
    static int outside;

    static void enter() { kernel(); }

    static void prepare(int count) {
        threads.resize(count);
        stacks.resize(max(stacks.size(), count * STACK));
        for (int t = 0; t < count; ++t) {
            getcontext(&threads[t]);
            threads[t].uc_stack.ss_sp = &stacks[t * STACK];
            threads[t].uc_stack.ss_size = STACK;
            threads[t].uc_link = &scheduler;
            makecontext(&threads[t], enter, 0);
        }
    }

    // Number of reads and writes outside of arrays, and of blocks where some threads wait and others have ended.
    static int run(int blocks, int count, function<void()> body) {
        int wrong = 0;
        outside = 0;
        kernel = body;
        gridDim.x = blocks;
        blockDim.x = count;
        for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x) {
            prepare(count);
            bool forward = true;
            do {
                waiting = 0;
                votes[++round % 2] = 0;
                for (int t = 0; t < count; ++t) {
                    threadIdx.x = forward ? t : count - 1 - t;
                    swapcontext(&scheduler, &threads[threadIdx.x]);
                }
                forward = !forward;
            } while (waiting == count);
            wrong += waiting != 0;
        }
        return wrong + outside;
    }
}

static void __syncthreads() {
    ++fibres::waiting;
    swapcontext(&fibres::threads[threadIdx.x], &fibres::scheduler);
}

static int __syncthreads_or(int vote) {
    int& votes = fibres::votes[fibres::round % 2];
    votes |= vote;
    __syncthreads();
    return votes;
}

static int __syncthreads_count(int vote) {
    int& votes = fibres::votes[fibres::round % 2];
    votes += vote != 0;
    __syncthreads();
    return votes;
}

template <class T> struct Checked {
    T* place;
    const char *low, *high;

    T& operator[](long long i) const {
        static remove_const_t<T> nothing;
        const char* at = (const char*) (place + i);
        const bool is_inside = low <= at && at < high;
        fibres::outside += !is_inside;
        return is_inside ? place[i] : nothing;
    }

    Checked& operator+=(long long i) {
        place += i;
        return *this;
    }
};
