import torch,time,sys
torch.set_num_threads(1)
from darts_lite import ImageData, Augmentation
from darts_lite.networks.layers.chain_net import ChainNet
from darts_lite.space.layers.chain import Chain, Block
import leverage
d=ImageData('FashionMNIST',root='/work/shared/data',validation_fraction=1/3,train_images=18000,batch_size=128,augmentation=Augmentation(1,7.0,.07))
d.prepare_data(); d.setup('fit')
t=time.time()
n=0
batches=[]
for i,(x,y) in enumerate(d.train_dataloader()):
    batches.append((x,y))
    if i==60: break
print('loader per batch',(time.time()-t)/61, x.shape,x.dtype,x.is_contiguous(),x.device)
for name in ('1000, 100000, 2048','5000, 500000, 6144'):
  for k in range(3):
    c=leverage.draw(leverage.BUDGETS[name],k)
    for cl in (False,True):
        net=ChainNet(c,1,10)
        if cl: net=net.to(memory_format=torch.channels_last)
        opt=torch.optim.AdamW(net.parameters(),0.01,weight_decay=.05)
        for w in range(2):
            t=time.time(); tf=0;to=0
            for x,y in batches[:30]:
                xx=x.to(memory_format=torch.channels_last) if cl else x
                a=time.time()
                l=torch.nn.functional.cross_entropy(net(xx)[0],y)
                tf+=time.time()-a
                opt.zero_grad(); l.backward(); a=time.time(); opt.step(); to+=time.time()-a
        print(c, 'cl' if cl else '', 'step ms %.1f fwd %.1f opt %.1f'%((time.time()-t)/30*1e3,tf/30*1e3,to/30*1e3))
