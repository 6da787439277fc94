// Async methods that wait: at which of their awaits. Continuations, cancellation.
using System;
using System.Collections.Generic;
using System.Runtime.CompilerServices;
using System.Threading;
using System.Threading.Tasks;
using static App.Label;

namespace App
{
    public class AtFirst { }
    public class AtSecond { }
    public class InAsyncLambda { }
    public class InContinuation { public void Then(Task task) { } }
    public class InRegistration { }
    public class InIterator { }

    static class Waiting
    {
        static readonly TaskCompletionSource never = new(), other = new();
        static readonly CancellationTokenSource source = new();
        static Task first, second, lambda;
        static IEnumerator<int> iterator;

        static async Task WaitFirst(AtFirst argument)
        {
            await never.Task;
            await other.Task;
            GC.KeepAlive(argument);
        }

        static async Task<int> WaitSecond()
        {
            var local = new AtSecond();
            await Task.Yield();
            await never.Task;
            await other.Task;
            GC.KeepAlive(local);
            return 1;
        }

        static IEnumerator<int> Numbers(InIterator argument)
        {
            yield return 1;
            yield return 2;
            GC.KeepAlive(argument);
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        static void PlantOthers()
        {
            Func<InAsyncLambda, Task> wait = async argument =>
            {
                await never.Task;
                GC.KeepAlive(argument);
            };
            lambda = wait(new InAsyncLambda());
            iterator = Numbers(new InIterator());
            iterator.MoveNext();
            other.Task.ContinueWith(new InContinuation().Then);
            source.Token.UnsafeRegister(static state => { }, new InRegistration());
        }

        public static async Task Plant()
        {
            first = WaitFirst(new AtFirst());
            second = WaitSecond();
            PlantOthers();
            while (!IsAt(second, 1))
                await Task.Yield();
        }

        /// Has it come to the await after Yield()? Its state machine says so itself.
        static bool IsAt(Task task, int state)
        {
            object machine = task.GetType().GetField("StateMachine").GetValue(task);
            var field = machine.GetType().GetField("<>1__state");
            return (int)field.GetValue(machine) == state;
        }

        public static void Tell()
        {
            Of<AtFirst>("static App.Waiting.first -> async App.Waiting.WaitFirst.argument", "async App.Waiting.WaitFirst, at await 1", "async App.Waiting.WaitFirst");
            Of<AtSecond>("static App.Waiting.second -> async App.Waiting.WaitSecond.local", "async App.Waiting.WaitSecond, at await 2", "async App.Waiting.WaitSecond");
            Of<InAsyncLambda>("static App.Waiting.lambda -> async App.Waiting.<lambda in PlantOthers>.argument",
                "async App.Waiting.<lambda in PlantOthers>, at await 1", "async App.Waiting.<lambda in PlantOthers>");
            Of<InIterator>("static App.Waiting.iterator -> App.Waiting+<Numbers>.argument", "iterator App.Waiting.Numbers", "iterator App.Waiting.Numbers");
            Of(typeof(InContinuation),
                "static App.Waiting.other -> System.Threading.Tasks.TaskCompletionSource._task -> Task continuations -> System.Threading.Tasks.ContinuationTaskFromTask.m_action -> System.Action<System.Threading.Tasks.Task> targets",
                new[] { "Task continuation", "calls App.InContinuation.Then" }, new[] { "Task continuation" });
            Of<InRegistration>("static App.Waiting.source -> CancellationTokenSource registrations", "CancellationTokenSource registration", "CancellationTokenSource registration");
        }
    }
}
