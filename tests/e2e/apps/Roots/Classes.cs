// One class per root kind: the class of a surviving object says how it must be reported.
using System;
using System.Runtime.InteropServices;
using System.Threading;

public class A1_Static { }
public class A2_GenericStatic { }                   // two instances, in Gen<string> and Gen<int>
public class A3_ThreadStatic { }
public class A3_GenericThreadStatic { }             // thread static of Gen<string>
public class A4_Local { }                           // local of a waiting thread
public class A5_Strong { }                          // GCHandle Normal
[StructLayout(LayoutKind.Sequential)]
public class A6_Pinned { public int X; }            // GCHandle Pinned
public class A7_Weak { }                            // weak handle, kept by a static list
public class A7_WeakTrack { }                       // weak handle that tracks resurrection, kept by a static list
public class A8_CwtKey { public long X; }           // a ConditionalWeakTable key without reference fields
public class A9_CwtVal { }
public class A8_CwtRefKey { public object Next; }   // and one with
public class A9_CwtRefVal { }
public class B1_DependentKey { }                    // a bare DependentHandle
public class B1_DependentVal { }
public struct B1_BoxedValue { public long X; }      // boxed in a static object field
public class B2_StructStatic { }                    // reference inside a static struct
public class B3_TimerState { }                      // state of a timer that a static field holds
public class B3_TimerTarget { public void Tick(object o) { } } // target of a timer that nobody holds
public class B4_ThreadLocal { }
public class B5_AsyncLocal { }
public class B6_Unrooted { }                        // garbage before the last collection: must be gone
public class C1_DeadButPresent { public object Child; } // garbage after it: on the heap, but unreachable
public class C1_DeadChild { }
public class C2_EventTarget { public void On(object sender, EventArgs e) { } }
public class C3_InDictionary { }
public class C4_InList { }
public class C5_InArray { }
public class C6_InMultiDim { }
public class C7_InJagged { }
public class C8_InStructArray { }
public class C8_InMixedArray { }
public class C9_InNestedStruct { }
public class D1_Poh { }                             // in an array on the pinned heap
public class D2_Loh { }                             // in an array on the large heap
public class D3_LiteralHolder { public string Text; }
public class E1_Node { public E1_Node Next; public int Index; }
public class E2_CycleA { public E2_CycleB B; }
public class E2_CycleB { public E2_CycleA A; }
public class E3_InAsyncMethod { }
public class E4_Many { public object Payload; public int Id; }
public class F1_Finalizable { ~F1_Finalizable() { } }        // alive, registered for finalization
public class F2_OnlyFromFinalizable { }
public class Fin                                    // the first blocks the finalizer thread, the rest wait behind it
{
    public F2_OnlyFromFinalizable Child = new();
    ~Fin() { Thread.Sleep(Timeout.Infinite); }
}
public class G1_InCollectibleStatic { }
public class G2_InDynamicStatic { }

public struct SV { public int X; public B2_StructStatic Ref; }
public struct Pair { public long A; public C8_InStructArray Ref; }                     // one series of pointers, gaps between
public struct Mixed { public C8_InMixedArray A; public int I; public C8_InMixedArray B, C; public long L; }
public struct Inner { public int X; public C9_InNestedStruct Ref; }
public struct Outer { public long Y; public Inner In; }
public class NestedHolder { public int Z; public Outer Out; }
